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
    transfer_evaluation: dsl.Input[dsl.Artifact],
    transfer_photos: dsl.Input[dsl.Artifact],
    finetune_histories: dsl.Input[List[dsl.Artifact]],
    finetune_models: dsl.Input[List[dsl.Model]],
    finetune_evaluations: dsl.Input[List[dsl.Artifact]],
    finetune_photos: dsl.Input[List[dsl.Artifact]],
    meanings: Dict[str, str],
    page: dsl.Output[dsl.HTML],
    photos: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    results: dsl.Output[dsl.Artifact],
    model: dsl.Output[dsl.Model],
) -> None:
    """Compare the switch epochs: graphs, a table, a conclusion, and the best model.

    Args:
        source: Where the photos came from.
        pretrained: Where the pretrained weights came from.
        transfer_history: A row an epoch of transfer learning.
        transfer_model: The model of transfer learning alone.
        transfer_evaluation: What that model does on the test photos.
        transfer_photos: Its most confident mistakes and least sure hits.
        finetune_histories: A history a switch epoch.
        finetune_models: A model a switch epoch.
        finetune_evaluations: An evaluation a switch epoch.
        finetune_photos: Mistakes and hits of each switch epoch.
        page: The report.
        photos: Its second page: mistakes and hits of the best model.
        summary: The answer and the table, short.
        metrics: The best model's numbers for the Kubeflow UI.
        results: The table as JSON.
        model: The best model, chosen on the validation photos.
    """
    given = locals()
    import json
    from pathlib import Path

    from components.report.step import Outputs, ReportConfig, Trained, report
    from switchpoint.files import write_json
    from switchpoint.provenance.digests import content_digest
    from switchpoint.provenance.metadata import MODEL, describe

    histories = [transfer_history, *finetune_histories]
    models = [transfer_model, *finetune_models]
    evaluations = [transfer_evaluation, *finetune_evaluations]
    trained = [
        Trained(
            history=Path(history.path),
            model=Path(trained.path, MODEL),
            evaluation=Path(evaluation.path),
            photos=Path(telling.path),
            digests=(history.metadata["digest"], trained.metadata["digest"], evaluation.metadata["digest"]),
        )
        for history, trained, evaluation, telling in zip(
            histories, models, evaluations, [transfer_photos, *finetune_photos], strict=True
        )
    ]
    outputs = Outputs(
        page=Path(page.path),
        photos=Path(photos.path),
        summary=Path(summary.path),
        results=Path(results.path),
        model=Path(model.path, MODEL),
    )
    digests = report(
        transfer=trained[0],
        finetunes=trained[1:],
        source=Path(source.path),
        pretrained=Path(pretrained.path),
        evaluated=transfer_evaluation.metadata,
        outputs=outputs,
        config=ReportConfig.given(given),
    )
    model.framework = "keras"
    inputs = {
        f"{kind}.{number}": artifact.metadata["digest"]
        for kind, artifacts in (("history", histories), ("model", models), ("evaluation", evaluations))
        for number, artifact in enumerate(artifacts)
    }
    shown = json.loads(outputs.results.read_text())["metrics"]
    for name, value in shown.items():
        metrics.log_metric(name, value)
    # KFP keeps metrics in metadata and writes no file; without one the task can't be cached.
    write_json(Path(metrics.path), shown)
    for artifact, name, digest in (
        (page, "Report", digests["page"]),
        (photos, "Photos that tell most of the best model", digests["photos"]),
        (summary, "Summary", digests["summary"]),
        (results, "Results", digests["results"]),
        (model, "Best model", digests["model"]),
        (metrics, "Metrics of the best model", content_digest(Path(metrics.path))),
    ):
        artifact.metadata.update(describe(name, "report", {}, inputs, digest))
