import type { CodegenConfig } from "@graphql-codegen/cli";

const rows = "../data/rows.js";
const estimation = "../services/estimation/types.js";
const runnable = "../services/runnable/types.js";

/** Types of the schema and of its resolvers; `npm run generate` writes them. */
const config: CodegenConfig = {
  schema: "schema.graphql",
  generates: {
    "src/resolvers/types.generated.ts": {
      plugins: ["typescript", "typescript-resolvers"],
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        immutableTypes: true,
        // Fields with a default value are always there once the input is read.
        avoidOptionals: { defaultValue: true },
        strictScalars: true,
        scalars: {
          SafeInt: "number",
          JSON: "unknown",
          DateTime: "Date",
        },
        contextType: "../context.js#Context",
        mappers: {
          Model: `${rows}#ModelRow`,
          ModelFile: `${rows}#ModelFileRow`,
          QuantFormat: `${rows}#QuantFormatRow`,
          KvCacheType: `${rows}#KvCacheTypeRow`,
          Gpu: `${rows}#GpuRow`,
          System: `${rows}#SystemRow`,
          Runtime: `${rows}#RuntimeRow`,
          Scenario: `${rows}#ScenarioRow`,
          Measurement: `${rows}#MeasurementRow`,
          Node: "../services/catalogue/nodes.js#NodeModel",
          CatalogChange: "../services/audit/changes.js#ChangeModel",
          CatalogChangeConnection: "../services/audit/audit.js#ChangeConnection",
          CatalogUpdate: "../services/audit/follow.js#CatalogueUpdate",
          CatalogUpdateChange: "../services/audit/follow.js#FollowedChange",
          RowDiff: "../services/editing/editing.js#RowDiffModel",
          ApiToken: "../services/access/access.js#ApiTokenModel",
          ByteSize: "number",
          Estimate: `${estimation}#EstimateModel`,
          EstimateFailure: `${estimation}#EstimateFailureModel`,
          AccuracyReport: "../services/evidence/report.js#AccuracyReportModel",
          AccuracyGroup: "../services/evidence/report.js#AccuracyGroupModel",
          SpeedEstimate: "../services/estimation/speed.js#SpeedModel",
          CostEstimate: "../services/estimation/speed.js#CostModel",
          HardwareFit: `${estimation}#HardwareFitModel`,
          HardwareFitConnection: "../services/catalogue/lists/hardware.js#HardwareConnection",
          HardwareMiss: "../services/estimation/hardware-selection.js#HardwareMissModel",
          BestQuantFormat: `${estimation}#BestQuantFormatModel`,
          Runnable: `${runnable}#RunnableModel`,
          RunnableConnection: `${runnable}#RunnableConnectionModel`,
          RunnableMiss: `${runnable}#RunnableMissModel`,
          ComparisonCell: "../services/comparison/compare.js#ComparisonCellModel",
        },
      },
    },
  },
};

export default config;
