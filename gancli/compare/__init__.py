"""Runs side by side: one table, overlaid curves, sample grids, and a page that shows all of it offline; free of torch."""
