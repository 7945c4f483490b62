"""Closed-form repair of the layers that read what is left."""
