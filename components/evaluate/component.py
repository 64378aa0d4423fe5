"""KFP's wrapper of the evaluate step."""

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("evaluate"), install_kfp_package=False)
def evaluate(
    records: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    switch_epoch: int,
    learning_rate: float,
    seed: int,
    batch_size: int,
    robustness: str,
    evaluation: dsl.Output[dsl.Metrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
) -> None:
    """Try one model on the test photos.

    Args:
        records: What prepare wrote.
        model: The model to try.
        evaluation: Accuracy, loss and calibration for the Kubeflow UI; in its file also each class, the confusion
            matrix, every answer, accuracy and calibration on corrupted photos, and the most confident mistakes and the
            least sure hits as small photos.
        confusion: The confusion matrix for the Kubeflow UI: of the most confused classes, if there are many.
    """
    given = locals()
    from pathlib import Path

    from components.evaluate.step import EvaluateConfig, Outputs, evaluate
    from switchpoint.files import write_json
    from switchpoint.provenance.digests import file_digest
    from switchpoint.provenance.metadata import MODEL, describe, entry, measured

    config = EvaluateConfig.given(given)
    outputs = Outputs(Path(evaluation.path))
    result = evaluate(Path(records.path), Path(model.path, MODEL), outputs, config, model.metadata["digest"])
    inputs = {"records": records.metadata["digest"], "model": model.metadata["digest"]}
    tuned = f"fine-tuned from epoch {config.switch_epoch} at {config.learning_rate:g}"
    start = f"{tuned if config.switch_epoch else 'transfer learning alone'}, seed {config.seed}"

    # All metadata of metrics are metrics, to the UI and to MLflow, which makes 0 of a text: lineage is in the file.
    said = describe(f"Evaluation, {start}", "evaluate", config, inputs, result["digest"])
    write_json(outputs.evaluation, {**result, "lineage": entry(said)})
    evaluation.metadata["display_name"] = said["display_name"]
    for name, value in measured(result).items():
        evaluation.log_metric(name, value)

    classes, chosen = result["classes"], result["most_confused"]
    matrix = [[result["confusion"][row][column] for column in chosen] for row in chosen]
    confusion.log_confusion_matrix([classes[number] for number in chosen], matrix)
    few = "" if len(chosen) == len(classes) else f", the {len(chosen)} most confused of {len(classes)} classes"
    # KFP keeps the matrix in metadata and writes no file; without one the task can't be cached.
    write_json(Path(confusion.path), matrix)
    digest = file_digest(Path(confusion.path))
    confusion.metadata.update(describe(f"Confusion matrix, {start}{few}", "evaluate", config, inputs, digest))
