import type { Catalogue } from "../data/catalogue.js";
import type { ModelFileRow, QuantFormatRow } from "../data/rows.js";
import type { ImportFindings } from "../services/imports/plan-import.js";

/** What an import found, as the schema shows it. */
export function toImportFindings(findings: ImportFindings, catalogue: Catalogue) {
  const { facts, architecture, count, comparison, checkpointFormat, files, notes } = findings;
  const { description, repo, baseRepo, commit, publishedParameters, checkpoint } = facts;
  return {
    source: description,
    repo,
    baseRepo,
    commit,
    modelType: architecture.modelType,
    ggufArchitecture: architecture.ggufArchitecture,
    parameters: count.total,
    activeParameters: count.active,
    predictionParameters: count.nextTokenPrediction,
    encoderParameters: count.encoders,
    publishedParameters,
    parametersDifference: comparison?.difference ?? null,
    publishedIncludes: comparison?.includes ?? null,
    checkpoint: checkpoint && { ...checkpoint, quantFormat: checkpointFormat },
    files: files.map(({ file, slug, quantFormat, note }) => ({
      repo: file.repo,
      fileName: file.fileName,
      shards: file.shards,
      size: file.sizeBytes,
      quantName: file.quantName,
      quantFormat: quantFormat as QuantFormatRow | null,
      modelFile: (slug === null ? null : (catalogue.modelFiles.bySlug.get(slug) ?? null)) as ModelFileRow | null,
      note,
    })),
    notes,
  };
}
