"""The wire: messages, framing, legal order. Sans-IO; see `_messages.py` for the specification."""
