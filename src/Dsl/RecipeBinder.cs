using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Evaluates <c>train</c> declarations into recipes, and checks them against models.</summary>
internal sealed class RecipeBinder(Overrides overrides, Elaborator elaborator, Action<Diagnostic> report)
{
    /// <summary>The recipe of a train block; null after an error, which is reported.</summary>
    public TrainingRecipe? Recipe(TrainSyntax train, Model? model, DataDescription? data)
    {
        var draft = new Draft(train, model, data);
        var fine = true;
        foreach (var row in TrainOptions.All)
        {
            var options = train.Options.Where(o => o.Name.Text == row.Name).ToArray();
            foreach (var option in options.DefaultIfEmpty())
                fine &= elaborator.Try(() => Option(row, option, draft));
        }

        if (draft.Lines.Count == 0 && fine)
        {
            report(DiagnosticCodes.MissingOptimizer.At(train.Model.Span, "this train block has no optimizer").WithNote("for example: optimizer adam(lr = 0.001)"));
            return null;
        }

        return fine && elaborator.Try(() => CheckTogether(draft)) ? draft.Complete() : null;
    }

    /// <summary>The names that <c>--set</c> may use for a train block.</summary>
    public static IEnumerable<string> Settings(TrainSyntax train)
    {
        foreach (var row in TrainOptions.All)
        {
            yield return $"train.{row.Name}";
            foreach (var parameter in row.Parameters.Where(p => !row.HasMain || p != row.Parameters[0] || p.Name == TrainOptions.Every))
                yield return $"train.{row.Name}.{parameter.Name}";
        }

        foreach (var option in train.Options.Where(o => o.Name.Text == "optimizer"))
        {
            foreach (var parameter in OptimizerOf(option.Arguments is [var only, ..] ? only.Value : null)?.Entry.Parameters ?? [])
                yield return $"train.optimizer.{parameter.Name}";
        }
    }

    private static (CallSyntax Call, CatalogEntry Entry)? OptimizerOf(ExprSyntax? syntax) =>
        syntax?.Bare is CallSyntax { Callee: NameSyntax name } call && Catalog.Find(name.Name.Text) is { Kind: CatalogKind.Optimizer } entry ? (call, entry) : null;

    private sealed class Draft(TrainSyntax train, Model? model, DataDescription? data)
    {
        public TrainSyntax Train => train;

        public Model? Model => model;

        public DataDescription? Data => data;

        public TrainingRecipe Recipe { get; set; } = new();

        public List<(OptimizerLine Line, TextSpan Span)> Lines { get; } = [];

        public bool HasEpochs { get; set; }

        /// <summary>Steps alone are a limit of their own.</summary>
        public TrainingRecipe Complete() => Recipe with
        {
            Optimizers = Lines.Select(l => l.Line).ToValueList(),
            Epochs = Recipe.Steps is not null && !HasEpochs ? int.MaxValue : Recipe.Epochs,
        };
    }

    /// <summary>The value of one parameter of an option, and where it stands.</summary>
    private readonly record struct Given(Value Value, ExprSyntax Syntax);

    /// <summary>One line of the block, or what <c>--set</c> says in place of one that is not there.</summary>
    private void Option(OptionRow row, TrainOptionSyntax? option, Draft draft)
    {
        if (row.Parameters is [{ Kind: ParameterKind.Paths, IsVariadic: true } parts])
        {
            PartsOption(row, parts, option, draft);
            return;
        }

        var given = new Dictionary<string, Given>(StringComparer.Ordinal);
        Slot[] slots = [.. row.Parameters.Select(p => p.Slot)];
        var places = option is null ? [] : ArgumentMatcher.Match($"`{row.Name}`", row.Signature, slots, option.Arguments, 0, null, _ => { });
        for (var i = 0; i < row.Parameters.Length; i++)
        {
            var parameter = row.Parameters[i];
            var (isPath, isText) = (parameter.Kind == ParameterKind.Paths, parameter.Kind == ParameterKind.String);
            var at = Array.IndexOf(places, i);
            var syntax = (i == 0 && row.HasMain ? overrides.Take($"train.{row.Name}", null, isPath, parameter.Words, isText) : null)
                ?? overrides.Take($"train.{row.Name}.{parameter.Name}", null, isPath, parameter.Words, isText)
                ?? (at >= 0 ? option!.Arguments[at].Value : null);
            if (syntax is null)
                continue;
            if (row.Name == "optimizer")
                syntax = WithOverrides(syntax);
            given[parameter.Name] = new Given(isPath ? new StringValue(PathOf(syntax)) : elaborator.Eval(syntax, elaborator.FileContext), syntax);
        }

        if (given.Count > 0 || option is not null)
            Apply(row.Name, given, option, draft);
    }

    private void Apply(string name, Dictionary<string, Given> given, TrainOptionSyntax? option, Draft draft)
    {
        var recipe = draft.Recipe;
        switch (name)
        {
            case "optimizer":
                draft.Lines.Add((Line(given["optimizer"], option, draft.Model), option?.Span ?? given["optimizer"].Syntax.Span));
                break;
            case "batch":
                draft.Recipe = recipe with { Batch = (int)Count(given["size"], name, CountUnit.None, 1, int.MaxValue) };
                break;
            case "accumulate":
                draft.Recipe = recipe with { Accumulate = (int)Count(given["batches"], name, CountUnit.None, 1, int.MaxValue) };
                break;
            case "epochs":
                draft.Recipe = recipe with { Epochs = (int)Count(given["count"], name, CountUnit.Epochs, 0, int.MaxValue) };
                draft.HasEpochs = true;
                break;
            case "steps":
                draft.Recipe = recipe with { Steps = Count(given["count"], name, CountUnit.Steps, 0, long.MaxValue / 2) };
                break;
            case "clip_norm":
                draft.Recipe = recipe with { ClipNorm = Positive(given["norm"], name) };
                break;
            case "clip_value":
                draft.Recipe = recipe with { ClipValue = Positive(given["value"], name) };
                break;
            case "ema":
                var decay = Positive(given["decay"], name);
                draft.Recipe = decay < 1 ? recipe with { Ema = decay }
                    : throw Elaborator.Error(DiagnosticCodes.OutOfRange, given["decay"].Syntax.Span, $"`ema` is the part that the average keeps at each step, between 0 and 1, and this is {Printer.Number(decay)}");
                break;
            case "precision":
                draft.Recipe = recipe with { Precision = (given["type"].Value is WordValue word ? word.Word : (given["type"].Value as StringValue)?.Text) == "f64" ? DType.F64 : DType.F32 };
                break;
            case "seed":
                draft.Recipe = recipe with { Seed = Count(given["seed"], name, CountUnit.None, 0, long.MaxValue / 2) };
                break;
            case "shuffle":
                draft.Recipe = recipe with { Shuffle = Flag(given["shuffle"], name) };
                break;
            case "log":
                draft.Recipe = recipe with { LogEvery = Count(given["every"], name, CountUnit.Steps, 1, long.MaxValue / 2) };
                break;
            case "checkpoint":
                var inSteps = given["every"].Value is CountValue { Unit: CountUnit.Steps };
                var every = Count(given["every"], name, inSteps ? CountUnit.Steps : CountUnit.Epochs, 1, int.MaxValue);
                draft.Recipe = recipe with { Checkpoint = new CheckpointPlan(every, inSteps, given.TryGetValue("keep", out var keep) ? (int)Count(keep, "keep", CountUnit.None, 1, int.MaxValue) : null) };
                break;
            case "start_from":
                draft.Recipe = recipe with { StartFrom = Start(given["path"], option, draft.Model) };
                break;
            case "early_stop":
                draft.Recipe = recipe with { EarlyStop = EarlyStop(given, option?.Name.Span ?? draft.Train.Model.Span, draft.Model, draft.Data) };
                break;
        }
    }

    /// <summary>What does not go with something else in the block.</summary>
    private void CheckTogether(Draft draft)
    {
        if (draft.Lines.Count > 1 && draft.Lines.FirstOrDefault(l => l.Line.Optimizer is Lbfgs) is { Line: not null } alone)
            throw Elaborator.Error(DiagnosticCodes.OptionConflict, alone.Span, "`lbfgs` trains all parameters at once, so it is the only optimizer of a block");
        if (draft.Model is not { } model)
            return;
        var recipe = draft.Complete();
        var trains = model.Parameters.Where(p => !p.Options.Frozen && !PathPattern.MatchesAny(recipe.Freeze, p.Path)).ToArray();
        if (trains.Length == 0 && model.Parameters.Length > 0)
            throw Elaborator.Error(DiagnosticCodes.OptionConflict, draft.Train.Model.Span, $"all parameters of `{model.Name}` are frozen, so there is nothing to train");
        if (model.Losses.IsEmpty)
            return;
        try
        {
            TrainingStep.Check(model, recipe);
        }
        catch (GraphException e)
        {
            throw Elaborator.Error(DiagnosticCodes.OptionConflict, draft.Train.Model.Span, e.Message);
        }

        var idle = trains.Where(p => !recipe.Trains(p)).Select(p => p.Path).ToArray();
        if (idle.Length > 0)
        {
            report(DiagnosticCodes.Untrained.At(draft.Train.Model.Span, $"no optimizer of this block trains {string.Join(", ", idle.Take(3).Select(p => $"`{p}`"))}{(idle.Length > 3 ? $" and {idle.Length - 3} more" : "")}")
                .WithNote("add an optimizer for them, or `freeze` them to say that it is meant"));
        }
    }

    // ---- Optimizers --------------------------------------------------------------------------------------------------

    private OptimizerLine Line(Given given, TrainOptionSyntax? option, Model? model)
    {
        var optimizer = given.Value is ErrorValue ? throw new DiagnosticException(null)
            : (given.Value as OptimizerValue)?.Optimizer
            ?? throw Elaborator.Error(DiagnosticCodes.TypeMismatch, given.Syntax.Span, $"`optimizer` takes an optimizer such as adam(lr = 0.001), and this is {given.Value.Describe()}");
        var line = new OptimizerLine(optimizer);
        if (option?.On is { } on)
            line = line with { On = Parts([on], model) };
        if (option?.Minimize is { } loss)
        {
            if (model is not null && model.Losses.All(l => l.Name != loss.Text))
            {
                throw new DiagnosticException(DiagnosticCodes.UnknownName.At(loss.Span, $"`{model.Name}` has no loss `{loss.Text}`").WithSuggestion(loss.Text, loss.Span, model.Losses.Select(l => l.Name))
                    .WithNote("`loss expr as name` gives a loss its name"));
            }

            line = line with { Minimize = loss.Text };
        }

        if (option?.Every is { } every)
            line = line with { Every = (int)Count(new Given(elaborator.Eval(every, elaborator.FileContext), every), "every", CountUnit.Steps, 1, int.MaxValue) };
        return line;
    }

    private ExprSyntax WithOverrides(ExprSyntax syntax)
    {
        if (OptimizerOf(syntax) is not ({ } call, { } entry))
            return syntax;
        var arguments = call.Arguments;
        for (var i = 0; i < entry.Parameters.Length; i++)
        {
            var parameter = entry.Parameters[i];
            if (overrides.Take($"train.optimizer.{parameter.Name}", null) is not { } value)
                continue;
            var at = arguments.ToList().FindIndex(a => a.Name?.Text == parameter.Name);
            at = at < 0 && i < arguments.Length && arguments[i].Name is null ? i : at;
            var argument = new ArgumentSyntax(value.Span, new Identifier(parameter.Name, value.Span), value);
            arguments = at < 0 ? arguments.Add(argument) : arguments.SetItem(at, arguments[at].Name is null ? new ArgumentSyntax(value.Span, null, value) : argument);
        }

        return arguments == call.Arguments ? syntax : new CallSyntax(call.Span, call.Callee, arguments);
    }

    // ---- Parts of the model ------------------------------------------------------------------------------------------

    /// <summary><c>freeze</c> and <c>weight_decay_on</c>: one part, several in parentheses, or a list.</summary>
    private void PartsOption(OptionRow row, CatalogParameter parameter, TrainOptionSyntax? option, Draft draft)
    {
        var value = overrides.Take($"train.{row.Name}", null, isPath: true);
        ImmutableArray<ExprSyntax> syntax = value is not null ? [value] : [.. option?.Arguments.Select(a => a.Value) ?? []];
        if (syntax.IsEmpty)
            return;
        if (row.Name == "freeze")
            draft.Recipe = draft.Recipe with { Freeze = Parts(syntax, draft.Model) };
        else if (syntax is [{ Bare: NameSyntax or StringSyntax } only] && PathOf(only) is var word && parameter.Words.Contains(word))
            draft.Recipe = draft.Recipe with { DecayAll = word == "all" };
        else
            draft.Recipe = draft.Recipe with { DecayOn = Parts(syntax, draft.Model) };
    }

    /// <summary>Patterns of paths, each with something in the model that it means.</summary>
    private static ValueList<string> Parts(IEnumerable<ExprSyntax> syntax, Model? model)
    {
        var patterns = new List<string>();
        var pending = new Stack<ExprSyntax>(syntax.Reverse());
        while (pending.TryPop(out var next))
        {
            if (next.Bare is ListSyntax or TupleSyntax)
            {
                foreach (var item in ((next.Bare as ListSyntax)?.Items ?? ((TupleSyntax)next.Bare).Items).Reverse())
                    pending.Push(item);
                continue;
            }

            var pattern = PathOf(next);
            RequirePart(pattern, next, model);
            patterns.Add(pattern);
        }

        return patterns.ToValueList();
    }

    private static void RequirePart(string pattern, ExprSyntax syntax, Model? model)
    {
        if (model is null || model.Parameters.Select(p => p.Path).Concat(model.Buffers.Select(b => b.Path)).Any(p => PathPattern.Matches(pattern, p)))
            return;
        // All beginnings of paths: what a layer or a group of layers is called.
        var names = model.Parameters.SelectMany(p => Enumerable.Range(0, p.Path.Length).Where(i => p.Path[i] is '.' or '[').Select(i => p.Path[..i]).Append(p.Path)).Distinct().ToArray();
        var first = names.Where(n => !n.Contains('.') && !n.Contains('[')).ToArray();
        var inner = (syntax.Bare as StringSyntax)?.SpanOf(0, pattern.Length) ?? syntax.Span;
        throw new DiagnosticException(DiagnosticCodes.UnknownPart.At(syntax.Span, $"`{model.Name}` has no parameters under `{pattern}`").WithSuggestion(pattern, inner, names)
            .WithNote(first.Length == 0 ? "it has no parameters" : $"it has {string.Join(", ", first.Take(8))}{(first.Length > 8 ? ", …" : "")}; `dnn summary` shows all"));
    }

    /// <summary>A path as source writes it: <c>encoder.blocks[3].fc</c>, or in quotes.</summary>
    private static string PathOf(ExprSyntax syntax) => syntax.Bare switch
    {
        NameSyntax name => name.Name.Text,
        StringSyntax text => text.Value,
        FieldSyntax field => $"{PathOf(field.Target)}.{field.Name.Text}",
        IndexSyntax { Indices: [NumberSyntax { Integer: { } number }] } index => FormattableString.Invariant($"{PathOf(index.Target)}[{number}]"),
        _ => throw Elaborator.Error(DiagnosticCodes.TypeMismatch, syntax.Span, "a path is needed here, such as encoder.fc, blocks[3] or \"*.weight\""),
    };

    private StartFrom Start(Given path, TrainOptionSyntax? option, Model? model)
    {
        var start = new StartFrom(path.Value switch
        {
            StringValue { Text.Length: > 0 } text => text.Text,
            ErrorValue => throw new DiagnosticException(null),
            var other => throw Elaborator.Error(DiagnosticCodes.TypeMismatch, path.Syntax.Span, $"`start_from` takes the path of a safetensors file, and this is {other.Describe()}"),
        });
        foreach (var pattern in option?.Only ?? [])
            RequirePart(pattern.Value, pattern, model);
        return start with
        {
            Only = (option?.Only ?? []).Select(o => o.Value).ToValueList(),
            Renames = (option?.Renames ?? []).Select(r => new PathRename(r.Old.Value, r.New.Value)).ToValueList(),
        };
    }

    // ---- Values ------------------------------------------------------------------------------------------------------

    internal static long Count(Value value, ExprSyntax syntax, string name, CountUnit unit, long low, long high)
    {
        var number = value switch
        {
            ErrorValue => throw new DiagnosticException(null),
            IntValue i => i.Number,
            FloatValue f => f.Number,
            CountValue c when c.Unit == unit => c.Number,
            CountValue c => throw Elaborator.Error(DiagnosticCodes.Unit, syntax.Span, $"`{name}` is not counted in {c.Unit.ToString().ToLowerInvariant()}"),
            var other => throw Elaborator.Error(DiagnosticCodes.TypeMismatch, syntax.Span, $"`{name}` takes a whole number, and this is {other.Describe()}"),
        };
        if (!double.IsInteger(number))
            throw Elaborator.Error(DiagnosticCodes.NotWhole, syntax.Span, $"`{name}` is a whole number, and {Printer.Number(number)} is none");
        return number >= low && number <= high ? (long)number
            : throw Elaborator.Error(DiagnosticCodes.OutOfRange, syntax.Span, $"`{name}` = {Printer.Number(number)} is out of range: from {low}{(high == int.MaxValue ? $" to {high}" : "")}");
    }

    internal static double Positive(Value value, ExprSyntax syntax, string name) => value switch
    {
        ErrorValue => throw new DiagnosticException(null),
        IntValue { Number: > 0 } i => i.Number,
        FloatValue { Number: > 0 and < double.PositiveInfinity } f => f.Number,
        var other => throw Elaborator.Error(DiagnosticCodes.OutOfRange, syntax.Span, $"`{name}` takes a number above 0, and this is {other.Describe()}"),
    };

    private static long Count(Given given, string name, CountUnit unit, long low, long high) => Count(given.Value, given.Syntax, name, unit, low, high);

    private static double Positive(Given given, string name) => Positive(given.Value, given.Syntax, name);

    private static bool Flag(Given given, string name) => given.Value switch
    {
        BoolValue { IsPhase: false } flag => flag.InTraining,
        ErrorValue => throw new DiagnosticException(null),
        _ => throw Elaborator.Error(DiagnosticCodes.TypeMismatch, given.Syntax.Span, $"`{name}` takes true or false"),
    };

    private static EarlyStop EarlyStop(Dictionary<string, Given> values, TextSpan at, Model? model, DataDescription? data)
    {
        var stop = new EarlyStop();
        foreach (var (name, given) in values)
        {
            stop = name switch
            {
                "on" => stop with { On = ((StringValue)given.Value).Text },
                "patience" => stop with { Patience = (int)Count(given, "patience", CountUnit.Epochs, 1, int.MaxValue) },
                "min_delta" => stop with { MinDelta = given.Value is IntValue { Number: 0 } or FloatValue { Number: 0 } ? 0 : Positive(given, "min_delta") },
                _ => stop with { Maximize = Flag(given, "maximize") },
            };
        }

        var span = values.TryGetValue("on", out var on) ? on.Syntax.Span : at;
        var dot = stop.On.IndexOf('.');
        var (part, measure) = dot < 0 ? ("", stop.On) : (stop.On[..dot], stop.On[(dot + 1)..]);
        string[] parts = data is null || data.Split.Count == 0 ? [DataDescription.Train] : [.. data.Split.Select(p => p.Name)];
        if (data is not null && !parts.Contains(part))
            throw new DiagnosticException(DiagnosticCodes.UnknownName.At(span, $"`{stop.On}` names no part of the data: there is {string.Join(", ", parts)}").WithSuggestion(part, span, parts).WithNote("what is watched is a loss or metric of a part: validation.loss"));
        string[] measures = model is null ? [] : ["loss", .. model.Losses.Select(l => l.Name), .. model.Metrics.Select(m => m.Name)];
        return model is null || measures.Contains(measure)
            ? stop
            : throw new DiagnosticException(DiagnosticCodes.UnknownName.At(span, $"the model has no loss or metric `{measure}`").WithSuggestion(measure, span, measures).WithNote($"it has {string.Join(", ", measures)}"));
    }
}
