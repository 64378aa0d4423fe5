"""KFP's wrapper of the report step."""

from typing import List

from kfp import dsl

from switchpoint.identity import image


@dsl.component(base_image=image("report"), install_kfp_package=False)
def report(
    transfer_history: dsl.Input[dsl.Artifact],
    transfer_model: dsl.Input[dsl.Model],
    transfer_evaluation: dsl.Input[dsl.Artifact],
    finetune_histories: dsl.Input[List[dsl.Artifact]],
    finetune_models: dsl.Input[List[dsl.Model]],
    finetune_evaluations: dsl.Input[List[dsl.Artifact]],
    dataset: str,
    backbone: str,
    page: dsl.Output[dsl.HTML],
    results: dsl.Output[dsl.Artifact],
    model: dsl.Output[dsl.Model],
) -> None:
    """Compare the switch epochs: graphs, a table, a conclusion, and the best model.

    Args:
        transfer_history: A row an epoch of transfer learning.
        transfer_model: The model of transfer learning alone.
        transfer_evaluation: What that model does on the test photos.
        finetune_histories: A history a switch epoch.
        finetune_models: A model a switch epoch.
        finetune_evaluations: An evaluation a switch epoch.
        dataset: What the photos were, for the title.
        backbone: What the network was, for the title.
        page: The report.
        results: The table as JSON.
        model: The best model, chosen on the validation photos.
    """
    from pathlib import Path

    from components.report.step import report
    from switchpoint.lineage import describe

    digests = report(
        transfer=(
            Path(transfer_history.path),
            Path(transfer_model.path, "model.keras"),
            Path(transfer_evaluation.path),
        ),
        finetunes=[
            (Path(history.path), Path(tuned.path, "model.keras"), Path(evaluation.path))
            for history, tuned, evaluation in zip(
                finetune_histories, finetune_models, finetune_evaluations, strict=True
            )
        ],
        page=Path(page.path),
        results=Path(results.path),
        model=Path(model.path, "model.keras"),
        title=(dataset, backbone),
    )
    model.framework = "keras"
    inputs = {
        f"{kind}.{number}": artifact.metadata["digest"]
        for kind, artifacts in (
            ("history", [transfer_history, *finetune_histories]),
            ("model", [transfer_model, *finetune_models]),
            ("evaluation", [transfer_evaluation, *finetune_evaluations]),
        )
        for number, artifact in enumerate(artifacts)
    }
    config = {"dataset": dataset, "backbone": backbone}
    for artifact, name, digest in (
        (page, "Report", digests["page"]),
        (results, "Results", digests["results"]),
        (model, "Best model", digests["model"]),
    ):
        artifact.metadata.update(describe(name, "report", config, inputs, digest))
