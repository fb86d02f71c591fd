"""Adversarial rules, penalties and the objective that players share."""
