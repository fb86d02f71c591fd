"""The configuration of a whole run: composed from conf/, checked, and handed to the task."""
