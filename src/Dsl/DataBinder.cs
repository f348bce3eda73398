using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Evaluates <c>data</c> declarations into descriptions, and checks data against models.</summary>
internal sealed class DataBinder(Elaborator elaborator, IDataReader? reader, Action<Diagnostic> report)
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
                return new CropAugmentation((int)RecipeBinder.Count(elaborator.Eval(given!.Value, elaborator.FileContext), given.Value, "padding", CountUnit.None, 1, int.MaxValue));
            default:
                return new NoiseAugmentation(RecipeBinder.Positive(elaborator.Eval(given!.Value, elaborator.FileContext), given.Value, "std"));
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

    /// <summary>What indexes an axis, such as labels and tokens, may not have more classes than the axis has places.</summary>
    public void CheckClasses(ModelSyntax syntax, Model model, DataSyntax data, DataSchema schema)
    {
        var classes = model.Inputs.Concat(model.Targets).Where(i => i.Value.DType == DType.I64 && schema.Find(i.Name)?.Classes is not null)
            .ToDictionary(i => i.Value, i => (i.Name, Classes: schema.Find(i.Name)!.Classes!.Value));
        if (classes.Count == 0)
            return;
        foreach (var node in Expr.PostOrder([.. model.Losses.Concat(model.Metrics).Concat(model.Outputs).Select(n => n.Value)]))
        {
            if (node.Op is not Gather gather || node.Args[0].Shape[gather.Axis] is not { IsKnown: true } room)
                continue;
            var index = node.Args[1];
            while (index.Op is Movement)
                index = index.Args[0];
            if (!classes.TryGetValue(index, out var fed) || fed.Classes <= room.Value)
                continue;
            var name = syntax.Body.Statements.Select(Fed).First(f => f.Name.Text == fed.Name).Name;
            var diagnostic = DiagnosticCodes.TooManyClasses.At(name.Span, $"`{fed.Name}` is 0 … {fed.Classes - 1} in `{data.Name.Text}`, and the model has room for {room.Value} (0 … {room.Value - 1})").With(data.Name.Span, $"{fed.Classes} classes");
            report(model.Provenance.Find(node)?.Location is { } place ? diagnostic.WithNote($"it indexes an axis of {room.Value} in line {place.Line}") : diagnostic);
            classes.Remove(index);
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
