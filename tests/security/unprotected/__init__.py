"""Script engines as one gets them when one follows their manuals: what attacks are controlled by."""
