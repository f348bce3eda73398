using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Evaluates <c>data</c> and <c>train</c> declarations into descriptions, and checks data against models.</summary>
internal sealed class DataBinder(Overrides overrides, Elaborator elaborator, IDataReader? reader, Action<Diagnostic> report)
{
    // ---- Data --------------------------------------------------------------------------------------------------------

    /// <summary>The description, and the columns where they are known; null after an error, which is reported.</summary>
    public (DataDescription Description, DataSchema? Schema)? Data(DataSyntax data)
    {
        var result = default((DataDescription, DataSchema?)?);
        elaborator.Try(() =>
        {
            var description = Describe(data);
            result = (description, Schema(data, description));
        });
        return result;
    }

    private DataDescription Describe(DataSyntax data)
    {
        var source = elaborator.Eval(data.Source, elaborator.FileContext) as SourceValue
            ?? throw Elaborator.Error(DiagnosticCodes.WrongKind, data.Source.Span, "data come from a source, such as csv(\"file.csv\") or two_moons()");
        var description = new DataDescription(data.Name.Text, source.Source);
        var renames = new List<ColumnRename>();
        foreach (var option in data.Options)
        {
            switch (option.Name.Text)
            {
                case "split":
                    description = description with { Split = option.Arguments.Select(Part).ToValueList() };
                    if (option.Arguments.IsEmpty)
                        throw Elaborator.Error(DiagnosticCodes.MissingArgument, option.Name.Span, "`split` names parts: split train = 80%, validation = 20%");
                    break;
                case "normalize":
                    description = description with { Normalize = option.Arguments.Select(Column).ToValueList() };
                    break;
                case "one_hot":
                    description = description with { OneHot = option.Arguments.Select(Column).ToValueList() };
                    break;
                case "rename":
                    foreach (var argument in option.Arguments)
                        renames.Add(new ColumnRename(argument.Name?.Text ?? throw Elaborator.Error(DiagnosticCodes.MissingArgument, argument.Span, "`rename` gives a column another name: rename new = old"), Word(argument.Value)));
                    break;
                case "shuffle":
                    description = description with { Shuffle = option.Arguments is not [var only] || Flag(only) };
                    break;
                case "augment":
                    description = description with { Augment = option.Steps.Select(Step).ToValueList() };
                    break;
            }
        }

        return description with { Rename = renames.ToValueList() };
    }

    private Augmentation Step(ExprSyntax step)
    {
        var call = step.Bare as CallSyntax;
        var row = DataOptions.Augmentations.First(a => a.Name == ((NameSyntax)(call?.Callee ?? step).Bare).Name.Text);
        Slot[] slots = [.. row.Parameters.Select(p => p.Slot)];
        var arguments = call?.Arguments ?? [];
        var given = ArgumentMatcher.Match(row.Name, row.Signature, slots, arguments, 0, null, _ => { }) is [0, ..] ? arguments[0] : null;
        switch (row.Name)
        {
            case "flip":
                return new FlipAugmentation(given is not null && Flag(given));
            case "crop":
                return new CropAugmentation((int)Count((elaborator.Eval(given!.Value, elaborator.FileContext), given.Value), "padding", CountUnit.None, 1, int.MaxValue));
            default:
                return new NoiseAugmentation(Positive((elaborator.Eval(given!.Value, elaborator.FileContext), given.Value), "std"));
        }
    }

    private bool Flag(ArgumentSyntax argument) => elaborator.Eval(argument.Value, elaborator.FileContext) is BoolValue { IsPhase: false } flag
        ? flag.InTraining
        : throw Elaborator.Error(DiagnosticCodes.TypeMismatch, argument.Value.Span, "true or false is needed here");

    private SplitPart Part(ArgumentSyntax argument)
    {
        if (argument.Name is not { } name)
            throw Elaborator.Error(DiagnosticCodes.MissingArgument, argument.Span, "each part of a split has a name: split train = 80%, validation = 20%");
        return elaborator.Eval(argument.Value, elaborator.FileContext) switch
        {
            IntValue { Number: >= 1 and <= int.MaxValue } count => SplitPart.OfCount(name.Text, (int)count.Number),
            FloatValue { Number: > 0 and <= 1 } fraction => SplitPart.OfFraction(name.Text, fraction.Number),
            SourceValue source => SplitPart.OfSource(name.Text, source.Source),
            ErrorValue => throw new DiagnosticException(null),
            var other => throw Elaborator.Error(DiagnosticCodes.OutOfRange, argument.Value.Span, $"a part is a fraction such as 80%, a count from 1, or another source, and this is {other.Describe()}"),
        };
    }

    private static string Column(ArgumentSyntax argument) => argument.Name is { } name
        ? throw Elaborator.Error(DiagnosticCodes.UnknownArgument, name.Span, "columns are listed by name: normalize features")
        : Word(argument.Value);

    private static string Word(ExprSyntax value) => value.Bare switch
    {
        NameSyntax name => name.Name.Text,
        StringSyntax text => text.Value,
        _ => throw Elaborator.Error(DiagnosticCodes.TypeMismatch, value.Span, "the name of a column is needed here"),
    };

    private DataSchema? Schema(DataSyntax data, DataDescription description)
    {
        try
        {
            if (reader is not null)
                return reader.ReadSchema(description);
            if (description.Source is not GeneratedSource generated)
                return null;
            var source = generated.Schema();
            description.PartSizes(source.Rows!.Value);
            return source with { Columns = description.Plan(source).Select(p => p.Result).ToValueList() };
        }
        catch (DataFormatException e)
        {
            var line = data.Options.FirstOrDefault(o => e.Reason.StartsWith(o.Name.Text, StringComparison.Ordinal));
            throw Elaborator.Error(DiagnosticCodes.InvalidData, line?.Span ?? data.Source.Span, e.Message);
        }
    }

    // ---- Training ----------------------------------------------------------------------------------------------------

    /// <summary>The recipe of a train block; null after an error, which is reported.</summary>
    public TrainingRecipe? Recipe(TrainSyntax train, Model? model, DataDescription? data)
    {
        var recipe = new Draft();
        var fine = true;
        foreach (var row in TrainOptions.All)
        {
            var option = train.Options.FirstOrDefault(o => o.Name.Text == row.Name);
            fine &= elaborator.Try(() => Option(row, option, train, recipe, model, data));
        }

        if (recipe.Optimizer is null && fine)
        {
            report(DiagnosticCodes.MissingOptimizer.At(train.Model.Span, "this train block has no optimizer").WithNote("for example: optimizer adam(lr = 0.001)"));
            return null;
        }

        return fine ? recipe.Complete() : null;
    }

    /// <summary>The names that <c>--set</c> may use for a train block.</summary>
    public static IEnumerable<string> Settings(TrainSyntax train)
    {
        foreach (var row in TrainOptions.All)
        {
            yield return $"train.{row.Name}";
            foreach (var parameter in row.Parameters.Skip(row.Name == "early_stop" ? 0 : 1))
                yield return $"train.{row.Name}.{parameter.Name}";
        }

        if (train.Options.FirstOrDefault(o => o.Name.Text == "optimizer")?.Arguments is [{ Value: CallSyntax { Callee: NameSyntax name } }, ..] && Catalog.Find(name.Name.Text) is { } entry)
        {
            foreach (var parameter in entry.Parameters)
                yield return $"train.optimizer.{parameter.Name}";
        }
    }

    private sealed class Draft
    {
        public Optimizer? Optimizer { get; set; }

        public Func<TrainingRecipe, TrainingRecipe> More { get; set; } = r => r;

        public bool HasEpochs { get; set; }

        public bool HasSteps { get; set; }

        public TrainingRecipe Complete()
        {
            var recipe = More(new TrainingRecipe { Optimizer = Optimizer! });

            // Steps alone are a limit of their own.
            return HasSteps && !HasEpochs ? recipe with { Epochs = int.MaxValue } : recipe;
        }

        public void Add(Func<TrainingRecipe, TrainingRecipe> change)
        {
            var before = More;
            More = r => change(before(r));
        }
    }

    private void Option(OptionRow row, TrainOptionSyntax? option, TrainSyntax train, Draft recipe, Model? model, DataDescription? data)
    {
        var values = new Dictionary<string, (Value Value, ExprSyntax Syntax)>(StringComparer.Ordinal);
        Slot[] slots = [.. row.Parameters.Select(p => new Slot(p.Name, p.IsRequired))];
        var places = option is null ? [] : ArgumentMatcher.Match($"`{row.Name}`", row.Signature, slots, option.Arguments, 0, null, _ => { });
        for (var i = 0; i < row.Parameters.Length; i++)
        {
            var parameter = row.Parameters[i];
            var at = Array.IndexOf(places, i);
            var syntax = (i == 0 && row.Name != "early_stop" ? overrides.Take($"train.{row.Name}", null) : null)
                ?? overrides.Take($"train.{row.Name}.{parameter.Name}", null)
                ?? (at >= 0 ? option!.Arguments[at].Value : null);
            if (syntax is null)
                continue;
            if (row.Name == "optimizer")
                syntax = WithOverrides(syntax);
            values[parameter.Name] = (parameter.Name == "on" ? new StringValue(Dotted(syntax)) : elaborator.Eval(syntax, elaborator.FileContext), syntax);
        }

        if (values.Count == 0 && option is null)
            return;
        switch (row.Name)
        {
            case "optimizer":
                var (value, where) = values["optimizer"];
                recipe.Optimizer = (value as OptimizerValue)?.Optimizer ?? throw Elaborator.Error(DiagnosticCodes.TypeMismatch, where.Span, $"`optimizer` takes an optimizer such as adam(lr = 0.001), and this is {value.Describe()}");
                break;
            case "batch":
                var batch = Count(values["size"], "batch", CountUnit.None, 1, int.MaxValue);
                recipe.Add(r => r with { Batch = (int)batch });
                break;
            case "epochs":
                var epochs = Count(values["count"], "epochs", CountUnit.Epochs, 0, int.MaxValue);
                recipe.HasEpochs = true;
                recipe.Add(r => r with { Epochs = (int)epochs });
                break;
            case "steps":
                var steps = Count(values["count"], "steps", CountUnit.Steps, 0, long.MaxValue / 2);
                recipe.HasSteps = true;
                recipe.Add(r => r with { Steps = steps });
                break;
            case "clip_norm":
                var norm = Positive(values["norm"], "clip_norm");
                recipe.Add(r => r with { ClipNorm = norm });
                break;
            case "clip_value":
                var limit = Positive(values["value"], "clip_value");
                recipe.Add(r => r with { ClipValue = limit });
                break;
            case "seed":
                var seed = Count(values["seed"], "seed", CountUnit.None, 0, long.MaxValue / 2);
                recipe.Add(r => r with { Seed = seed });
                break;
            case "shuffle":
                var shuffle = values["shuffle"] is ({ } v, var at) && v is BoolValue { IsPhase: false } b ? b.InTraining : throw Elaborator.Error(DiagnosticCodes.TypeMismatch, values["shuffle"].Syntax.Span, "`shuffle` takes true or false");
                recipe.Add(r => r with { Shuffle = shuffle });
                break;
            case "weight_decay_on":
                var all = values["which"].Value is WordValue { Word: "all" } or StringValue { Text: "all" };
                recipe.Add(r => r with { DecayAll = all });
                break;
            case "early_stop":
                var stop = EarlyStop(values, option?.Name.Span ?? train.Model.Span, model, data);
                recipe.Add(r => r with { EarlyStop = stop });
                break;
        }
    }

    private ExprSyntax WithOverrides(ExprSyntax syntax)
    {
        if (syntax.Bare is not CallSyntax { Callee: NameSyntax name } call || Catalog.Find(name.Name.Text) is not { Kind: CatalogKind.Optimizer } entry)
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

    private static string Dotted(ExprSyntax syntax) => syntax.Bare switch
    {
        NameSyntax name => name.Name.Text,
        StringSyntax text => text.Value,
        FieldSyntax field => $"{Dotted(field.Target)}.{field.Name.Text}",
        _ => throw Elaborator.Error(DiagnosticCodes.TypeMismatch, syntax.Span, "what is watched is a loss or metric of a part: validation.loss"),
    };

    private static long Count((Value Value, ExprSyntax Syntax) given, string name, CountUnit unit, long low, long high)
    {
        var number = given.Value switch
        {
            ErrorValue => throw new DiagnosticException(null),
            IntValue i => i.Number,
            FloatValue f => f.Number,
            CountValue c when c.Unit == unit => c.Number,
            CountValue c => throw Elaborator.Error(DiagnosticCodes.Unit, given.Syntax.Span, $"`{name}` is not counted in {c.Unit.ToString().ToLowerInvariant()}"),
            var other => throw Elaborator.Error(DiagnosticCodes.TypeMismatch, given.Syntax.Span, $"`{name}` takes a whole number, and this is {other.Describe()}"),
        };
        if (!double.IsInteger(number))
            throw Elaborator.Error(DiagnosticCodes.NotWhole, given.Syntax.Span, $"`{name}` is a whole number, and {Printer.Number(number)} is none");
        return number >= low && number <= high ? (long)number
            : throw Elaborator.Error(DiagnosticCodes.OutOfRange, given.Syntax.Span, $"`{name}` = {Printer.Number(number)} is out of range: from {low}{(high == int.MaxValue ? $" to {high}" : "")}");
    }

    private static double Positive((Value Value, ExprSyntax Syntax) given, string name) => given.Value switch
    {
        ErrorValue => throw new DiagnosticException(null),
        IntValue { Number: > 0 } i => i.Number,
        FloatValue { Number: > 0 } f => f.Number,
        var other => throw Elaborator.Error(DiagnosticCodes.OutOfRange, given.Syntax.Span, $"`{name}` takes a number above 0, and this is {other.Describe()}"),
    };

    private EarlyStop EarlyStop(Dictionary<string, (Value Value, ExprSyntax Syntax)> values, TextSpan at, Model? model, DataDescription? data)
    {
        var stop = new EarlyStop();
        foreach (var (name, given) in values)
        {
            stop = name switch
            {
                "on" => stop with { On = ((StringValue)given.Value).Text },
                "patience" => stop with { Patience = (int)Count(given, "patience", CountUnit.Epochs, 1, int.MaxValue) },
                "min_delta" => stop with { MinDelta = given.Value is IntValue { Number: 0 } or FloatValue { Number: 0 } ? 0 : Positive(given, "min_delta") },
                _ => stop with { Maximize = given.Value is BoolValue { IsPhase: false } flag ? flag.InTraining : throw Elaborator.Error(DiagnosticCodes.TypeMismatch, given.Syntax.Span, "`maximize` takes true or false") },
            };
        }

        var span = values.TryGetValue("on", out var on) ? on.Syntax.Span : at;
        var dot = stop.On.IndexOf('.');
        var (part, measure) = dot < 0 ? ("", stop.On) : (stop.On[..dot], stop.On[(dot + 1)..]);
        string[] parts = data is null || data.Split.Count == 0 ? [DataDescription.Train] : [.. data.Split.Select(p => p.Name)];
        if (data is not null && !parts.Contains(part))
            throw new DiagnosticException(DiagnosticCodes.UnknownName.At(span, $"`{stop.On}` names no part of the data: there is {string.Join(", ", parts)}").WithNote("what is watched is a loss or metric of a part: validation.loss"));
        string[] measures = model is null ? [] : ["loss", .. model.Losses.Select(l => l.Name), .. model.Metrics.Select(m => m.Name)];
        return model is null || measures.Contains(measure)
            ? stop
            : throw new DiagnosticException(DiagnosticCodes.UnknownName.At(span, $"the model has no loss or metric `{measure}`").WithNote($"it has {string.Join(", ", measures)}"));
    }

    // ---- Data against models -----------------------------------------------------------------------------------------

    /// <summary>Columns meet inputs and targets by name; types and shapes must fit.</summary>
    public void CheckColumns(ModelSyntax syntax, Model model, DataSyntax data, DataSchema schema)
    {
        var batch = model.Inputs.IsEmpty || model.Inputs[0].Value.Rank == 0 ? null : model.Inputs[0].Value.Shape[0];
        var sizes = new Dictionary<string, (int Size, DataColumn Column)>(StringComparer.Ordinal);
        foreach (var (name, value) in model.Inputs.Concat(model.Targets))
        {
            var (identifier, type) = syntax.Body.Statements.Select(Fed).First(f => f.Name.Text == name);
            if (schema.Find(name) is not { } column)
            {
                report(DiagnosticCodes.MissingColumn.At(identifier.Span, $"`{data.Name.Text}` has no column `{name}`").With(data.Name.Span, $"it has {schema}")
                    .WithSuggestion(name, identifier.Span, schema.Columns.Select(c => c.Name)).WithNote($"`rename {name} = column` in the data block gives a column another name"));
                continue;
            }

            if (!column.IsWhole && (batch is null || value.Rank == 0 || !value.Shape[0].Equals(batch)))
                continue;
            if (!Fits(value, column, sizes))
            {
                var diagnostic = DiagnosticCodes.ColumnType.At(type.Span, $"`{name}` is declared {type.Span.Text}, and the column is {column}").With(data.Name.Span, $"from `{data.Name.Text}`");
                if (column.Classes is { } classes && value.DType.IsFloat())
                    diagnostic = diagnostic.WithNote($"it holds {classes} classes: declare it as int[{batch}], or write `one_hot {name}` in the data block");
                report(diagnostic);
            }
        }
    }

    private static (Identifier Name, TypeSyntax Type) Fed(StatementSyntax statement) => statement switch
    {
        InputSyntax input => (input.Name, input.Type),
        TargetSyntax target => (target.Name, target.Type),
        _ => (new Identifier("", default), null!),
    };

    private static bool Fits(Expr value, DataColumn column, Dictionary<string, (int Size, DataColumn Column)> sizes)
    {
        if (!column.Feeds(value.DType))
            return false;
        foreach (var row in column.RowShapes)
        {
            var first = column.IsWhole ? 0 : 1;
            if (row.Count != value.Rank - first)
                continue;
            var fits = true;
            for (var i = 0; i < row.Count && fits; i++)
            {
                var size = value.Shape[i + first];
                if (size.IsKnown)
                    fits = size.Value == row[i];
                else if (size.Name is { } name)
                    fits = sizes.TryAdd(name, (row[i], column)) || sizes[name].Size == row[i];
            }

            if (fits && column.Feeds(value.DType, row.AsSpan()))
                return true;
        }

        return false;
    }
}
