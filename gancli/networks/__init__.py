"""Backbones and layers; each cites its paper."""
