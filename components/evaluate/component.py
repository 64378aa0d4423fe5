"""KFP's wrapper of the evaluate step."""

from kfp import dsl

from switchpoint.identity import image


@dsl.component(base_image=image("evaluate"), install_kfp_package=False)
def evaluate(
    records: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    switch_epoch: int,
    batch_size: int,
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Try one model on the test photos.

    Args:
        records: What prepare wrote.
        model: The model to try.
        switch_epoch: The epoch its fine-tuning started from; 0 = transfer learning alone.
        batch_size: Photos a step.
        evaluation: Accuracy, loss and confusion matrix.
        metrics: The same numbers for the Kubeflow UI.
    """
    import json
    from pathlib import Path

    from components.evaluate.step import evaluate
    from switchpoint.lineage import describe

    result = evaluate(
        Path(records.path), Path(model.path, "model.keras"), Path(evaluation.path), switch_epoch, batch_size
    )
    inputs = {"records": records.metadata["digest"], "model": model.metadata["digest"]}
    config = {"switch_epoch": switch_epoch, "batch_size": batch_size}
    start = f"fine-tuned from epoch {switch_epoch}" if switch_epoch else "transfer learning alone"
    evaluation.metadata.update(describe(f"Evaluation, {start}", "evaluate", config, inputs, result["digest"]))
    shown = {"top-1 accuracy": result["top_1"], "top-5 accuracy": result["top_5"], "loss": result["loss"]}
    for name, value in shown.items():
        metrics.log_metric(name, value)
    # KFP keeps metrics in metadata and writes no file; without one the task can't be cached.
    Path(metrics.path).write_text(json.dumps(shown))
