"""KFP's wrapper of the report step."""

from typing import Dict, List

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("report"), install_kfp_package=False)
def report(
    source: dsl.Input[dsl.Artifact],
    pretrained: dsl.Input[dsl.Artifact],
    transfer_history: dsl.Input[dsl.Artifact],
    transfer_model: dsl.Input[dsl.Model],
    transfer_evaluation: dsl.Input[dsl.Metrics],
    finetune_histories: dsl.Input[List[dsl.Artifact]],
    finetune_models: dsl.Input[List[dsl.Model]],
    finetune_evaluations: dsl.Input[List[dsl.Metrics]],
    meanings: Dict[str, str],
    page: dsl.Output[dsl.HTML],
    results: dsl.Output[dsl.Metrics],
    model: dsl.Output[dsl.Model],
) -> None:
    """Compare the switch epochs: graphs, a table, a conclusion, and the best model.

    Args:
        source: Where the photos came from.
        pretrained: Where the pretrained weights came from.
        transfer_history: A row an epoch of transfer learning.
        transfer_model: The model of transfer learning alone.
        transfer_evaluation: What that model does on the test photos.
        finetune_histories: A history a switch epoch.
        finetune_models: A model a switch epoch.
        finetune_evaluations: An evaluation a switch epoch.
        page: The report.
        results: The best model's numbers for the Kubeflow UI; its file is the table as JSON.
        model: The best model, chosen on the validation photos.
    """
    given = locals()
    import json
    from pathlib import Path

    from components.report.step import Outputs, ReportConfig, Trained, report
    from switchpoint.files import write_json
    from switchpoint.provenance.metadata import MODEL, describe, entry

    histories = [transfer_history, *finetune_histories]
    models = [transfer_model, *finetune_models]
    evaluations = [transfer_evaluation, *finetune_evaluations]
    trained = [
        Trained(
            history=Path(history.path),
            model=Path(trained.path, MODEL),
            evaluation=Path(evaluation.path),
            digests=(history.metadata["digest"], trained.metadata["digest"]),
            metrics=evaluation.metadata,
        )
        for history, trained, evaluation in zip(histories, models, evaluations, strict=True)
    ]
    outputs = Outputs(page=Path(page.path), results=Path(results.path), model=Path(model.path, MODEL))
    digests = report(
        transfer=trained[0],
        finetunes=trained[1:],
        source=Path(source.path),
        pretrained=Path(pretrained.path),
        outputs=outputs,
        config=ReportConfig.given(given),
    )
    model.framework = "keras"
    inputs = {
        f"{kind}.{number}": artifact.metadata["digest"]
        for kind, artifacts in (("history", histories), ("model", models))
        for number, artifact in enumerate(artifacts)
    } | {
        f"evaluation.{number}": json.loads(each.evaluation.read_text(encoding="utf-8"))["digest"]
        for number, each in enumerate(trained)
    }
    for artifact, name, digest in ((page, "Report", digests["page"]), (model, "Best model", digests["model"])):
        artifact.metadata.update(describe(name, "report", {}, inputs, digest))

    # All metadata of metrics are metrics, to the UI and to MLflow, which makes 0 of a text: lineage is in the file.
    said = describe("Results of the best model", "report", {}, inputs, digests["results"])
    document = json.loads(outputs.results.read_text(encoding="utf-8"))
    write_json(outputs.results, document | {"lineage": entry(said)})
    results.metadata["display_name"] = said["display_name"]
    for name, value in document["metrics"].items():
        results.log_metric(name, value)
