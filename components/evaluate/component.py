"""KFP's wrapper of the evaluate step."""

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("evaluate"), install_kfp_package=False)
def evaluate(
    records: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    switch_epoch: int,
    batch_size: int,
    evaluation: dsl.Output[dsl.Artifact],
    photos: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
) -> None:
    """Try one model on the test photos.

    Args:
        records: What prepare wrote.
        model: The model to try.
        evaluation: Accuracy, loss, calibration, each class and the confusion matrix.
        photos: The most confident mistakes and the least sure hits, as small photos.
        metrics: The same numbers for the Kubeflow UI.
        confusion: The confusion matrix for the Kubeflow UI: of the most confused classes, if there are many.
    """
    given = locals()
    from pathlib import Path

    from components.evaluate.step import EvaluateConfig, Outputs, evaluate
    from switchpoint.files import write_json
    from switchpoint.provenance.digests import content_digest
    from switchpoint.provenance.metadata import MODEL, describe

    config = EvaluateConfig.given(given)
    outputs = Outputs(Path(evaluation.path), Path(photos.path))
    result = evaluate(Path(records.path), Path(model.path, MODEL), outputs, config, model.metadata["digest"])
    inputs = {"records": records.metadata["digest"], "model": model.metadata["digest"]}
    start = f"fine-tuned from epoch {config.switch_epoch}" if config.switch_epoch else "transfer learning alone"
    shown = {
        "top-1 accuracy": result["top_1"],
        "top-5 accuracy": result["top_5"],
        "loss": result["loss"],
        "expected calibration error": result["calibration"]["ece"],
    }
    for name, value in shown.items():
        metrics.log_metric(name, value)
    classes, chosen = result["classes"], result["most_confused"]
    matrix = [[result["confusion"][row][column] for column in chosen] for row in chosen]
    confusion.log_confusion_matrix([classes[number] for number in chosen], matrix)
    few = "" if len(chosen) == len(classes) else f", the {len(chosen)} most confused of {len(classes)} classes"
    # KFP keeps metrics in metadata and writes no file; without one the task can't be cached.
    write_json(Path(metrics.path), shown)
    write_json(Path(confusion.path), matrix)
    for artifact, name, digest in (
        (evaluation, "Evaluation", result["digest"]),
        (photos, "Photos that tell most", content_digest(outputs.photos)),
        (metrics, "Metrics", content_digest(Path(metrics.path))),
        (confusion, f"Confusion matrix{few}", content_digest(Path(confusion.path))),
    ):
        artifact.metadata.update(describe(f"{name}, {start}", "evaluate", config, inputs, digest))
