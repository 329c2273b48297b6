// Lints schema.graphql; everything else is Biome's.
import graphqlPlugin from "@graphql-eslint/eslint-plugin";

const { "flat/schema-recommended": recommended, "flat/schema-relay": relay } = graphqlPlugin.configs;

const [severity, naming] = recommended.rules["@graphql-eslint/naming-convention"];

/** Types that are parts of something else and have no identity of their own. */
const values = {
  types: [
    "ByteSize",
    "Source",
    "PageInfo",
    "ScenarioFaq",
    "Estimate",
    "EstimateFailure",
    "WeightsEstimate",
    "TensorTypeShare",
    "TensorRoleShare",
    "KvCacheEstimate",
    "KvCacheLayerGroup",
    "DeviceEstimate",
    "HostEstimate",
    "EstimateAccuracy",
    "CalculationStep",
    "EstimateWarning",
    "HardwareFit",
    "HardwareMiss",
    "ParallelPlan",
    "ExtraMemory",
    "KvCachePool",
    "MeasurementComparison",
    "AccuracyReport",
    "AccuracyGroup",
    "NotCompared",
    "BestQuantFormat",
    "Runnable",
    "RunnableMiss",
    "Comparison",
    "ComparisonAxis",
    "ComparisonValue",
    "ComparisonCell",
    "ScenarioTemplates",
    "SpeedEstimate",
    "SpeedFigure",
    "CostEstimate",
    "UserError",
    "RowDiff",
    "CatalogImportCounts",
    "FieldChange",
    "ChangeActor",
    "CatalogUpdate",
    "CatalogUpdateChange",
    "ImportFindings",
    "ImportedCheckpoint",
    "ImportedFile",
    "Viewer",
  ],
  suffixes: ["Connection", "Edge", "Payload"],
};

export default [
  {
    files: ["schema.graphql"],
    languageOptions: { parser: graphqlPlugin.parser, parserOptions: { graphQLConfig: { schema: "schema.graphql" } } },
    plugins: { "@graphql-eslint": graphqlPlugin },
    rules: {
      ...recommended.rules,
      ...relay.rules,
      "@graphql-eslint/strict-id-in-types": ["error", { exceptions: values }],
      "@graphql-eslint/require-description": [
        "error",
        {
          types: true,
          DirectiveDefinition: true,
          EnumValueDefinition: true,
          FieldDefinition: true,
          InputValueDefinition: true,
          rootField: true,
        },
      ],
      // A KvCacheType is a type of cache entry, so that the suffix carries meaning.
      "@graphql-eslint/naming-convention": [
        severity,
        { ...naming, "ObjectTypeDefinition,ObjectTypeExtension": { forbiddenPrefixes: ["Type"] } },
      ],
      // One line where it fits, a block where it does not.
      "@graphql-eslint/description-style": "off",
      // A connection has `nodes` beside its edges; hardware that fits is computed and has no id.
      "@graphql-eslint/relay-edge-types": [
        "error",
        { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
      ],
      // Short lists that are computed anew page forwards only.
      "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
    },
  },
];
