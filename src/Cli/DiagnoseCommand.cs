using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;
using Spectre.Console;

namespace Dnn.Cli;

/// <summary>What passes through a model and back: sizes of activations and gradients, spectra of Jacobians, predicted against measured.</summary>
internal sealed class DiagnoseCommand : CliCommand
{
    private readonly Argument<string> file = Common.File();
    private readonly Option<string?> weights = Common.Weights();
    private readonly Option<int?> batch = Common.Count("--batch", "B", "Rows that are looked at; the train block's batch unless given.", 4096);
    private readonly Option<long?> seed = Common.Seed("Initial parameters, where there are no weights, and dropout; the file's unless given.");

    public DiagnoseCommand()
        : base("diagnose", "Shows sizes of activations and gradients and Jacobian singular values by layer, predicted against measured.",
            "dnn diagnose examples/digits.dnn", "dnn diagnose examples/digits.dnn --weights runs/digits/best.safetensors --json")
    {
        Arguments.Add(file);
        foreach (var option in new Option[] { weights, batch, seed })
            Options.Add(option);
        AddCommon();
    }

    /// <summary>A row of the table.</summary>
    private sealed record Row(string Path, string Kind, Expr Input, Expr Output)
    {
        public NodeStatistics? Measured { get; init; }

        public double? PredictedRms { get; init; }

        /// <summary>The root mean square of the gradient, where that at the last row is 1.</summary>
        public double? GradientFactor { get; init; }

        public double? PredictedGradientFactor { get; init; }

        public Spectrum? Jacobian { get; init; }
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation);
        var model = source.Model;
        var random = invocation.Get(seed) ?? source.Seed;
        var values = invocation.Get(weights) is { } path ? WeightsFile.Load(path, source) : Initialization.Sample(model, random);
        var rows = Rows(model);
        if (rows.Length == 0)
            throw new FileErrorsException($"{source.Path}: {model.Name} has no layers to look at");
        var (inputs, fromData) = Inputs(source, values, invocation.Get(batch), random);
        var objective = model.Losses.IsEmpty ? Projected(model) : model.TotalLoss;
        var measured = Measurement.Of(model, [.. rows.Select(r => r.Output)], objective, values, inputs, seed: random);
        var sizes = new Dictionary<string, long>();
        foreach (var (name, value) in inputs)
            Unifier.Bind(sizes, model.Inputs.Concat(model.Targets).First(i => i.Name == name).Value.Shape, value.Shape.AsSpan(), name);
        var predicted = Propagation.Of(model, name => sizes.GetValueOrDefault(name, Propagation.DefaultSize), inputs
            .Where(i => model.Inputs.Any(m => m.Name == i.Name && m.Value.DType.IsFloat())).ToDictionary(i => model.Inputs.First(m => m.Name == i.Name).Value, i => Moments(i.Value)));

        // The last row with a prediction is what both are measured by.
        var end = Enumerable.Range(0, rows.Length).LastOrDefault(i => measured[i].Gradient > 0 && predicted.Gradient(rows[i].Output) > 0, -1);
        for (var i = 0; i < rows.Length; i++)
        {
            rows[i] = rows[i] with
            {
                Measured = measured[i],
                PredictedRms = predicted.Find(rows[i].Output)?.Rms,
                GradientFactor = end < 0 || measured[i].Gradient is null ? null : Math.Sqrt(measured[i].Gradient!.Value / measured[end].Gradient!.Value),
                PredictedGradientFactor = end < 0 || predicted.Gradient(rows[i].Output) is not { } g ? null : Math.Sqrt(g / predicted.Gradient(rows[end].Output)!.Value),
                Jacobian = Measurement.Jacobian(model, rows[i].Input, rows[i].Output, values, inputs),
            };
        }

        var whole = model.Inputs is [var first, ..] && first.Value.DType.IsFloat() ? Measurement.Jacobian(model, first.Value, rows[^1].Output, values, inputs) : null;
        if (invocation.Json)
            invocation.Output.WriteLine(Json(model, rows, whole, fromData));
        else
            Show(model, rows, whole, fromData, invocation);
        return 0;
    }

    /// <summary>The layers and activations, those of the catalog as wholes; what losses and metrics do is left out.</summary>
    private static Row[] Rows(Model model)
    {
        var reachable = Expr.PostOrder(model.Losses.Concat(model.Outputs).Select(n => n.Value)).Select((n, i) => (n, i)).ToDictionary(p => p.n, p => p.i);
        var inside = new HashSet<Scope>();
        var rows = new List<Row>();
        var seen = new HashSet<Expr>();
        foreach (var scope in model.Scopes)
        {
            var kind = Catalog.Find(scope.Kind)?.Kind;
            var isHidden = scope.Parent is { } parent && inside.Contains(parent);
            if (isHidden || (kind is CatalogKind.Layer or CatalogKind.Function or CatalogKind.Loss && !IsContainer(scope)))
                inside.Add(scope);
            if (isHidden || kind is CatalogKind.Loss || IsContainer(scope) || scope is not { Inputs: [var x, ..], Outputs: [var y, ..] } || x == y || !y.DType.IsFloat() || !reachable.ContainsKey(y))
                continue;
            if (kind is null || !seen.Add(y))
                continue;
            rows.Add(new Row(scope.Path, scope.Kind, x, y));
        }

        // Functions that are one operation have no scope of their own.
        foreach (var (node, _) in reachable)
        {
            var scope = model.Provenance.Find(node)?.Scope;
            if (node.Op is Tanh or Logistic && (scope is null || !inside.Contains(scope)) && seen.Add(node) && model.Provenance.Find(node) is { IsDerived: false })
                rows.Add(new Row(scope?.Path ?? "", node.Op is Tanh ? "tanh" : "sigmoid", node.Args[0], node));
        }

        return [.. rows.OrderBy(r => reachable[r.Output])];
    }

    private static bool IsContainer(Scope scope) => scope.Kind is "residual" or "sequential" or "transformer_block" || Catalog.Find(scope.Kind)?.Kind == CatalogKind.Combinator;

    /// <summary>A batch of the training part, where there is data; else N(0, 1).</summary>
    private static ((string Name, Tensor Value)[] Inputs, bool FromData) Inputs(ModelFile source, Weights weights, int? rows, long seed)
    {
        var model = source.Model;
        if (source.HasTraining)
        {
            try
            {
                var (recipe, data) = source.Training();
                var set = source.Reader.Read(data, weights);
                var part = set.TryGet("train") ?? set.Splits[0];
                var batch = part.Take("batch", [.. Enumerable.Range(0, Math.Min(part.Rows, rows ?? recipe.Batch))]);
                return ([.. model.Inputs.Concat(model.Targets).Select(i => (i.Name, batch[i.Name]))], true);
            }
            catch (Exception e) when (e is DataFormatException or IOException or UnauthorizedAccessException)
            {
                // Without the data, made numbers tell as much about the model.
            }
        }

        var sizes = MadeValues.Sizes(model, rows ?? 64, 16);
        return ([.. model.Inputs.Concat(model.Targets).Select(i => (i.Name, i.Value.DType.IsFloat()
            ? Initialization.Sample(Initializers.Normal(1), new TensorType(DType.Float, new Shape([.. i.Value.Shape.Evaluate(sizes).Select(d => Dim.Of(d))])), i.Name, seed)
            : MadeValues.Of(i.Value, sizes, i.Name, DType.F32)))], false);
    }

    /// <summary>A model without a loss: outputs against random numbers.</summary>
    private static Expr Projected(Model model) => model.Outputs.Where(o => o.Value.DType.IsFloat())
        .Select(o => (o.Value * Rng.Normal(RandomState.Key($"diagnose.{o.Name}"), o.Value.Shape)).Sum()).Aggregate((a, b) => a + b);

    /// <summary>What a batch of an input is like: what its rows have in common counts as shared.</summary>
    private static Moments Moments(Tensor values)
    {
        var x = values.Cast(DType.F64).ToArray<double>();
        var rows = values.Rank == 0 ? 1 : values.Shape[0];
        var width = Math.Max(1, x.Length / Math.Max(1, rows));
        var sums = new double[width];
        for (var i = 0; i < x.Length; i++)
            sums[i % width] += x[i];
        var square = x.Average(v => v * v);
        var shared = rows < 2 ? 0 : ((sums.Average(s => s * s) / rows) - square) / (rows - 1);
        return new(x.Average(), square, Math.Clamp(shared, 0, square));
    }

    private static string Json(Model model, Row[] rows, Spectrum? whole, bool fromData) => JsonText.Object(json =>
    {
        json.WriteString("model", model.Name);
        json.WriteString("inputs", fromData ? "data" : "made");
        json.WriteStartArray("layers");
        foreach (var row in rows)
        {
            json.WriteStartObject();
            json.WriteString("path", row.Path);
            json.WriteString("kind", row.Kind);
            json.WriteString("output", row.Output.Type.ToString());
            Real("mean", row.Measured!.Mean);
            Real("std", row.Measured.Std);
            Real("rms", row.Measured.Rms);
            Real("predicted_rms", row.PredictedRms);
            Real("zero", row.Measured.Zeros);
            Real("saturated", row.Measured.Saturated);
            Real("gradient_norm", row.Measured.GradientNorm);
            Real("gradient_factor", row.GradientFactor);
            Real("predicted_gradient_factor", row.PredictedGradientFactor);
            Singular(row.Jacobian);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        Singular(whole);

        void Real(string name, double? value)
        {
            if (value is { } number)
                json.WriteReal(name, number);
            else
                json.WriteNull(name);
        }

        void Singular(Spectrum? spectrum)
        {
            if (spectrum is null)
            {
                json.WriteNull("singular_values");
                return;
            }

            json.WriteStartArray("singular_values");
            foreach (var value in spectrum.Values)
                json.WriteNumberValue(value);
            json.WriteEndArray();
        }
    });

    private static void Show(Model model, Row[] rows, Spectrum? whole, bool fromData, Invocation invocation)
    {
        var terminal = invocation.Terminal;
        var table = new Spectre.Console.Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn(Markup.Escape(model.Name)).NoWrap());
        table.AddColumn("kind");
        foreach (var column in new[] { "mean", "std", "rms", "predicted", "zero", "saturated", "gradient", "factor", "predicted", "σ max", "σ median", "σ min" })
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (var row in rows)
        {
            var m = row.Measured!;
            table.AddRow(
                Markup.Escape(row.Path), Markup.Escape(row.Kind), Text(m.Mean), Text(m.Std), Text(m.Rms), Text(row.PredictedRms), Part(m.Zeros), Part(m.Saturated),
                Text(m.GradientNorm), Text(row.GradientFactor), Text(row.PredictedGradientFactor), Text(row.Jacobian?.Largest), Text(row.Jacobian?.Median), Text(row.Jacobian?.Smallest));
        }

        var console = SummaryCommand.Console(terminal);
        console.Write(table);
        terminal.Output.WriteLine(whole is null
            ? "The Jacobian from end to end has too many elements, or the input is no float."
            : FormattableString.Invariant($"From end to end, singular values of the Jacobian of the last layer by the input: {whole.Largest:G3} to {whole.Smallest:G3}, median {whole.Median:G3}."));
        terminal.Output.WriteLine($"Activations of the training phase for {(fromData ? "a batch of the training part" : "N(0, 1) inputs")}; `factor` is the root mean square of the gradient as a multiple of that at the last layer; Jacobians are of the first row.");
    }

    private static string Text(double? value) => value is { } v ? v.ToString("G3", CultureInfo.InvariantCulture) : "";

    private static string Part(double? value) => value is { } v ? v.ToString("P0", CultureInfo.InvariantCulture).Replace(" ", "", StringComparison.Ordinal) : "";
}
