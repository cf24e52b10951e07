"""Log-mel features, their inverse, their cache and their augmentation."""
