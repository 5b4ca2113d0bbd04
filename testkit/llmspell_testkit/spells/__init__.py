"""Tests of spells, written as spells or as data: found, run each in its own worker, and shown."""
