"""Closed-form repair of the layers that read the channels that stay."""
