using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What a compilation is told beside the text.</summary>
public sealed record CompileOptions
{
    public static CompileOptions Default { get; } = new();

    /// <summary>The model to choose where there are several; null for that of the train block, or the first.</summary>
    public string? ModelName { get; init; }

    /// <summary>The train block to choose where there are several; null for the first.</summary>
    public string? TrainName { get; init; }

    /// <summary>The values of <c>--set name=value</c>.</summary>
    public IReadOnlyDictionary<string, string> Overrides { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Where imported files are read.</summary>
    public ISourceReader Sources { get; init; } = DiskSources.Instance;

    /// <summary>Whether models are for decoding token by token; see <see cref="ModelBuilder.Decoding"/>. All sizes of their inputs are then 1.</summary>
    public bool Decoding { get; init; }

    /// <summary>Hears of each phase when it ends: parse, bind, elaborate.</summary>
    public Action<string>? OnPhase { get; init; }

    /// <summary>Reads the columns of data files; without it, those of made sources only are checked.</summary>
    public IDataReader? DataReader { get; init; }
}

/// <summary>A <c>train</c> block, or a model without one.</summary>
/// <param name="Name">The block's name; null if it has none.</param>
/// <param name="ModelName">The model's name.</param>
/// <param name="Model">The model, built with the arguments of the block; null if it has errors.</param>
/// <param name="Data">What it trains on.</param>
/// <param name="Schema">The columns, where they are known.</param>
/// <param name="Recipe">How it trains; null for a model that no block trains.</param>
public sealed record CompiledModel(string? Name, string ModelName, Model? Model, DataDescription? Data, DataSchema? Schema, TrainingRecipe? Recipe)
{
    /// <summary>Whether a <c>train</c> block stands behind it.</summary>
    public bool IsTraining { get; init; }

    /// <summary>The values of the hyperparameters of file and model, as text, by the names that <c>--set</c> knows: <c>16 * 2</c> is 32.</summary>
    public required ImmutableSortedDictionary<string, string> Hypers { get; init; }

    /// <summary>The declaration of the model, perhaps in an imported file.</summary>
    public required ModelSyntax Declaration { get; init; }
}

/// <summary>A file, compiled: models, data, training and everything that is wrong.</summary>
public sealed class CompileResult
{
    internal CompileResult(SyntaxTree syntax, Binding binding, CompileOptions options, ImmutableArray<CompiledModel> models, ImmutableArray<DataDescription> data, ImmutableArray<Diagnostic> diagnostics)
    {
        Syntax = syntax;
        Binding = binding;
        Options = options;
        Models = models;
        Data = data;
        Diagnostics = diagnostics;
        Chosen = models.FirstOrDefault(m => (options.ModelName is null || m.ModelName == options.ModelName) && (options.TrainName is null || m.Name == options.TrainName));
    }

    public SyntaxTree Syntax { get; }

    /// <summary>All files, what is imported before what imports it; <see cref="Syntax"/> is the last.</summary>
    public ImmutableArray<SyntaxTree> Files => [.. Binding.Modules.Select(m => m.Tree)];

    /// <summary>In order of place, those of imported files before those of the file that imports.</summary>
    public ImmutableArray<Diagnostic> Diagnostics { get; }

    public bool HasErrors => Diagnostics.Any(d => d.IsError);

    /// <summary>Each train block in order, then the models that no block trains.</summary>
    public ImmutableArray<CompiledModel> Models { get; }

    /// <summary>All data declarations without errors.</summary>
    public ImmutableArray<DataDescription> Data { get; }

    /// <summary>What the options choose, else the first; null if the file has no model.</summary>
    public CompiledModel? Chosen { get; }

    /// <summary>The chosen model; null if there is none or it has errors.</summary>
    public Model? Model => Chosen?.Model;

    /// <summary>How the chosen model trains.</summary>
    public TrainingRecipe? Recipe => Chosen?.Recipe;

    /// <summary>The titles of the tests, in order.</summary>
    public ImmutableArray<string> Tests => [.. Binding.Tests.Select(t => t.Title.Value)];

    /// <summary>The text of the stage <c>bound</c>: every name with what it means, every instance with its path below the layer around it.</summary>
    public string BoundText => BoundPrinter.Print(Syntax, Binding);

    internal Binding Binding { get; }

    internal CompileOptions Options { get; }
}

/// <summary>Errors of a file that was loaded by <see cref="Compiler.Load(string, CompileOptions?)"/>.</summary>
public sealed class CompileException(ImmutableArray<Diagnostic> diagnostics)
    : Exception(string.Join('\n', diagnostics.Where(d => d.IsError).Select(d => d.ToString())))
{
    public ImmutableArray<Diagnostic> Diagnostics { get; } = diagnostics;
}

/// <summary>From text to models, data and training: parse, bind, elaborate, check.</summary>
public static partial class Compiler
{
    /// <summary>Compiles a text. What is wrong is among the diagnostics; nothing is thrown.</summary>
    public static CompileResult Compile(SourceText source, CompileOptions? options = null)
    {
        options ??= CompileOptions.Default;
        var tree = Parser.Parse(source);
        options.OnPhase?.Invoke("parse");
        return Compile(tree, options);
    }

    /// <summary>Compiles a file.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static CompileResult Compile(string path, CompileOptions? options = null) => Compile(SourceText.Read(path), options);

    /// <summary>The model of a file.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="CompileException">The file has errors, or no model.</exception>
    public static Model Load(string path, CompileOptions? options = null)
    {
        var result = Compile(path, options);
        return !result.HasErrors && result.Model is { } model
            ? model
            : throw new CompileException(result.HasErrors ? result.Diagnostics : [DiagnosticCodes.UnknownName.At(result.Syntax.Root.Span, "the file has no model")]);
    }

    /// <param name="tree">The first file.</param>
    /// <param name="options">What is told beside it.</param>
    /// <param name="observe">Whether what values names had is to be remembered.</param>
    internal static CompileResult Compile(SyntaxTree tree, CompileOptions options, bool observe = false)
    {
        var (modules, unread) = ModuleLoader.Load(tree, options.Sources);
        var (binding, found) = Binder.Bind(modules);
        options.OnPhase?.Invoke("bind");
        if (observe)
            binding.Observed = [];
        var diagnostics = new List<Diagnostic>([.. modules.SelectMany(m => m.Tree.Diagnostics), .. unread, .. found]);
        var models = ImmutableArray<CompiledModel>.Empty;
        var data = ImmutableArray<DataDescription>.Empty;
        if (!diagnostics.Any(d => d.IsError))
            (models, data) = Elaborate(binding, options, Once(binding, diagnostics));
        options.OnPhase?.Invoke("elaborate");
        var order = modules.Select((m, i) => (m.Tree.Source, Index: i)).ToDictionary(m => m.Source, m => m.Index);
        return new CompileResult(tree, binding, options, models, data,
            [.. diagnostics.OrderBy(d => d.Span.IsNone ? -1 : order.GetValueOrDefault(d.Span.Source, -1)).ThenBy(d => d.Span.Start)]);
    }

    /// <summary>
    /// The same thing is said once, however many models it concerns: one error of a kind at a place, and one about the value of a hyperparameter of file or model, wherever it is used.
    /// </summary>
    private static Action<Diagnostic> Once(Binding binding, List<Diagnostic> diagnostics)
    {
        var seen = new HashSet<(string, TextSpan, string)>();
        var hypers = binding.Models.SelectMany(m => m.Hypers?.Parameters ?? []).Select(p => p.Name.Text).Concat(binding.Hypers.Keys.Select(h => h.Name.Text)).ToHashSet();
        var blamed = new HashSet<string>();
        return d =>
        {
            var isNew = seen.Add((d.Code, d.Span, d.IsError && !d.Span.IsNone ? "" : d.Message));
            if (isNew && ValueErrors.Contains(d.Descriptor) && !d.Span.IsNone)
            {
                string[] names = [.. Words().Matches(d.Span.Text).Select(m => m.Value).Where(hypers.Contains).Distinct()];
                isNew = names.Length == 0 || names.Count(blamed.Add) == names.Length;
            }

            if (isNew)
                diagnostics.Add(d);
        };
    }

    /// <summary>Errors that are the fault of a value rather than of the place that uses it.</summary>
    private static readonly ImmutableArray<DiagnosticDescriptor> ValueErrors =
        [DiagnosticCodes.OutOfRange, DiagnosticCodes.NotWhole, DiagnosticCodes.InvalidArgument, DiagnosticCodes.InvalidData];

    [GeneratedRegex(@"\w+")]
    private static partial Regex Words();

    private static (ImmutableArray<CompiledModel> Models, ImmutableArray<DataDescription> Data) Elaborate(Binding binding, CompileOptions options, Action<Diagnostic> report)
    {
        var overrides = new Overrides(binding, options.Overrides);
        overrides.ReportUnknown(Settings(binding), report);
        var top = new Elaborator(binding, overrides, report, "");
        foreach (var module in binding.Modules)
            top.TopLevel(module.Tree.Root);
        var binder = new DataBinder(top, options.DataReader, report);
        var recipes = new RecipeBinder(overrides, top, report);
        var data = binding.Data.ToDictionary(d => d, binder.Data);
        var models = ImmutableArray.CreateBuilder<CompiledModel>();
        foreach (var train in binding.Trains)
        {
            var syntax = (ModelSyntax)binding.Uses[(NameSyntax)train.Model.Callee].Declaration!;
            var elaborator = new Elaborator(binding, overrides, report, syntax.Name.Text, options.Decoding);
            var model = elaborator.Model(syntax, train.Model.Arguments);
            var source = (DataSyntax)binding.File[train.Data.Text].Declaration!;
            var value = data[source];
            var recipe = recipes.Recipe(train, options.Decoding ? null : model, value?.Description);
            if (model is not null && !options.Decoding && value?.Schema is { } schema)
            {
                binder.CheckColumns(syntax, model, source, schema);
                binder.CheckClasses(syntax, model, source, schema);
            }

            if (model is { Losses.IsEmpty: true })
                report(DiagnosticCodes.MissingLoss.At(train.Model.Span, $"`{model.Name}` has no `loss`, so there is nothing to minimize").With(syntax.Name.Span, "declared here"));
            models.Add(new CompiledModel(train.Name?.Text, syntax.Name.Text, model, value?.Description, value?.Schema, recipe) { IsTraining = true, Declaration = syntax, Hypers = Hypers(top, elaborator) });
        }

        foreach (var syntax in binding.Models.Where(m => models.All(c => c.Declaration != m)))
        {
            var elaborator = new Elaborator(binding, overrides, report, syntax.Name.Text, options.Decoding);
            models.Add(new CompiledModel(null, syntax.Name.Text, elaborator.Model(syntax, []), null, null, null) { Declaration = syntax, Hypers = Hypers(top, elaborator) });
        }

        foreach (var test in binding.Tests)
            TestRunner.Check(binding, overrides, test, report);
        ReportChoice(binding, options, report);
        return (models.ToImmutable(), [.. binding.Data.Select(d => data[d]).Where(d => d is not null).Select(d => d!.Value.Description)]);
    }

    /// <summary>Those of the files, and those of the model, which come first where both have a name.</summary>
    private static ImmutableSortedDictionary<string, string> Hypers(Elaborator top, Elaborator model) =>
        ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, top.Settings).SetItems(model.Settings);

    private static void ReportChoice(Binding binding, CompileOptions options, Action<Diagnostic> report)
    {
        if (options.ModelName is { } model && binding.Models.All(m => m.Name.Text != model))
            report(Choice("--model", "model", model, binding.Models.Select(m => m.Name.Text)));
        if (options.TrainName is { } train && binding.Trains.All(t => t.Name?.Text != train))
            report(Choice("--train", "train block", train, binding.Trains.Where(t => t.Name is not null).Select(t => t.Name!.Value.Text)));
    }

    private static Diagnostic Choice(string option, string what, string name, IEnumerable<string> known)
    {
        var span = new SourceText(name, option).Span(0, name.Length);
        var names = known.ToArray();
        return DiagnosticCodes.UnknownName.At(span, $"the file has no {what} `{name}`").WithSuggestion(name, span, names).WithNote(names.Length == 0 ? "it has none by name" : $"it has {string.Join(", ", names)}");
    }

    /// <summary>All names that <c>--set</c> may use.</summary>
    private static HashSet<string> Settings(Binding binding) =>
    [
        .. binding.Hypers.Values,
        .. binding.Models.SelectMany(m => m.Hypers?.Parameters ?? []).Select(p => p.Name.Text),
        .. binding.Trains.SelectMany(RecipeBinder.Settings),
    ];
}
