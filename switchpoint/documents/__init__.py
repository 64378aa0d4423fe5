"""The shapes of what lies on disk and of what crosses from one room to another: JSON objects, key by key.

Types alone: import them under `if TYPE_CHECKING`. Then it is in no image, and a field that is documented better runs
nothing again. Epochs count from 1, losses are in nats a photo, shares and accuracies in [0, 1], times in seconds,
digests hex SHA-256.
"""
