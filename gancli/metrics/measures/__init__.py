"""Measures as pure functions of what was collected."""
