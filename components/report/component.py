"""KFP's wrapper of the report step."""

from typing import Dict, List

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("report"), install_kfp_package=False)
def report(
    source: dsl.Input[dsl.Artifact],
    trainings: dsl.Input[List[dsl.Artifact]],
    meanings: Dict[str, str],
    page: dsl.Output[dsl.HTML],
    results: dsl.Output[dsl.Metrics],
    model: dsl.Output[dsl.Model],
    search: dsl.Input[dsl.Artifact] | None = None,
) -> None:
    """Compare the switch epochs: graphs, a table, a verdict, and the best model.

    Args:
        source: Where the photos came from.
        trainings: What collect put side by side, a seed each.
        page: The report.
        results: The best model's numbers for the Kubeflow UI; its file is the table as JSON.
        model: The best model, chosen on the validation photos.
        search: What became of the candidates of a search.
    """
    given = locals()
    import json
    from pathlib import Path

    from components.report.step import Outputs, ReportConfig, report
    from switchpoint.files import write_json
    from switchpoint.provenance.metadata import MODEL, describe, entry

    outputs = Outputs(page=Path(page.path), results=Path(results.path), model=Path(model.path, MODEL))
    collected = {Path(each.path): str(each.metadata["digest"]) for each in trainings}
    searched = (Path(search.path), str(search.metadata["digest"])) if search else None
    digests = report(collected, Path(source.path), outputs, ReportConfig.given(given), searched)
    model.framework = "keras"
    inputs = {f"trainings.{number}": digest for number, digest in enumerate(collected.values())}
    if searched:
        inputs["search"] = searched[1]
    for artifact, name, digest in ((page, "Report", digests["page"]), (model, "Best model", digests["model"])):
        artifact.metadata.update(describe(name, "report", {}, inputs, digest))

    # All metadata of metrics are metrics, to the UI and to MLflow, which makes 0 of a text: lineage is in the file.
    said = describe("Results of the best model", "report", {}, inputs, digests["results"])
    document = json.loads(outputs.results.read_text(encoding="utf-8"))
    write_json(outputs.results, document | {"lineage": entry(said)})
    results.metadata["display_name"] = said["display_name"]
    for name, value in document["metrics"].items():
        results.log_metric(name, value)
