"""What engines, bridges and spells are tested with."""
