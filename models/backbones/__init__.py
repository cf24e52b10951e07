"""Spiking networks that turn encoder spikes into class scores."""
