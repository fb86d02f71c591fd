"""Augmentations by name, one file each; the group `augment` chooses one."""
