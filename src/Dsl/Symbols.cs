using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What a name of the file stands for.</summary>
internal enum SymbolKind
{
    Layer,
    Model,
    Data,

    /// <summary>A hyperparameter with a static value.</summary>
    Hyper,

    /// <summary>A hyperparameter of type <c>layer</c>.</summary>
    Recipe,

    /// <summary>A <c>let</c> at the top level.</summary>
    FileLet,
    Let,

    /// <summary>A variable of a loop or lambda.</summary>
    Variable,
    Tensor,
    Dimension,
    Parameter,
    Buffer,
    Input,
    Target,
    Output,
}

/// <summary>Whether a value is a layer, as far as names tell.</summary>
internal enum Nature
{
    Unknown,
    Layer,
    Other,
}

/// <summary>One declaration of one name.</summary>
internal sealed class Symbol(string name, SymbolKind kind, TextSpan span, SyntaxNode? declaration = null)
{
    public string Name { get; } = name;

    public SymbolKind Kind { get; } = kind;

    public TextSpan Span { get; } = span;

    public SyntaxNode? Declaration { get; } = declaration;

    /// <summary>Whether something is differentiated with respect to it: then a number bound to it is a node of its own.</summary>
    public bool IsDifferentiated { get; set; }

    public Nature Nature { get; set; }

    /// <summary>What it is called in messages.</summary>
    public string Describe() => Kind switch
    {
        SymbolKind.Layer => $"the layer `{Name}`",
        SymbolKind.Model => $"the model `{Name}`",
        SymbolKind.Data => $"the data `{Name}`",
        SymbolKind.Hyper or SymbolKind.Recipe => $"the hyperparameter `{Name}`",
        SymbolKind.Dimension => $"the size `{Name}`",
        SymbolKind.Parameter => $"the parameter `{Name}`",
        SymbolKind.Buffer => $"the buffer `{Name}`",
        SymbolKind.Input => $"the input `{Name}`",
        SymbolKind.Target => $"the target `{Name}`",
        SymbolKind.Tensor => $"the tensor `{Name}`",
        _ => $"`{Name}`",
    };

    public override string ToString() => $"{Kind.ToString().ToLowerInvariant()} {Name}";
}

/// <summary>What the binder found out about a file: which declaration each name means, and what instances are called.</summary>
internal sealed class Binding
{
    /// <summary>What names stand for that the file declares.</summary>
    public Dictionary<NameSyntax, Symbol> Uses { get; } = [];

    /// <summary>The symbol that a pattern, parameter, statement or declaration introduces.</summary>
    public Dictionary<SyntaxNode, Symbol> Declared { get; } = [];

    /// <summary>Names, and fields of <c>random</c>, that the catalog knows.</summary>
    public Dictionary<ExprSyntax, CatalogEntry> Entries { get; } = [];

    /// <summary><c>prim.name</c></summary>
    public Dictionary<ExprSyntax, Primitive> Primitives { get; } = [];

    /// <summary>Bare words of enumerations.</summary>
    public Dictionary<NameSyntax, string> Words { get; } = [];

    /// <summary>The names of inputs, result and cotangent in a layer's own gradient.</summary>
    public Dictionary<GradientSyntax, ImmutableArray<Symbol>> RuleNames { get; } = [];

    /// <summary>The part of the path that an expression gives to what it constructs.</summary>
    public Dictionary<SyntaxNode, string> Segments { get; } = [];

    /// <summary>What is wrong in the block of an <c>assert_error</c>, as far as names tell.</summary>
    public Dictionary<AssertErrorSyntax, List<Diagnostic>> Expected { get; } = [];

    /// <summary>Hyperparameters of imported files: <c>resnet.width</c>.</summary>
    public Dictionary<FieldSyntax, Symbol> Qualified { get; } = [];

    /// <summary>What names mean where <see cref="Binder.Probe"/> stands, the nearest first; null if it stands nowhere.</summary>
    public List<Symbol>? Visible { get; set; }

    /// <summary>What values were seen under names, in words; null where nobody asks.</summary>
    public Dictionary<Symbol, string>? Observed { get; set; }

    /// <summary>All files, what is imported before what imports it; the last is the one that was asked for.</summary>
    public ImmutableArray<Module> Modules { get; init; }

    public Module Root => Modules[^1];

    /// <summary>The names of the top level.</summary>
    public Dictionary<string, Symbol> File => Root.Names;

    /// <summary>The hyperparameters of all files in order, and the names that <c>--set</c> knows them by.</summary>
    public Dictionary<HyperSyntax, string> Hypers { get; } = [];

    public List<ModelSyntax> Models { get; } = [];

    public List<TrainSyntax> Trains { get; } = [];

    public List<DataSyntax> Data { get; } = [];

    public List<TestSyntax> Tests { get; } = [];
}

/// <summary>One parameter that arguments are matched with.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsRequired">Whether it must be given.</param>
/// <param name="IsVariadic">Whether it takes the rest of the arguments without names.</param>
/// <param name="TakesNames">Whether it takes all arguments whose names no other parameter has.</param>
internal readonly record struct Slot(string Name, bool IsRequired, bool IsVariadic = false, bool TakesNames = false);

/// <summary>Matches arguments with parameters, as in Python: positions first, then names.</summary>
internal static class ArgumentMatcher
{
    /// <summary>
    /// The parameter of each argument; −1 where there is none, which was reported. <paramref name="piped"/> values stand before the first argument.
    /// </summary>
    /// <param name="what">What is called, for messages: <c>`dense`</c>.</param>
    /// <param name="signature">How it is called, for notes.</param>
    /// <param name="slots">Its parameters.</param>
    /// <param name="arguments">What is given.</param>
    /// <param name="piped">The number of values before the arguments.</param>
    /// <param name="site">Where a missing argument is reported; null to accept that some are missing.</param>
    /// <param name="report">Takes what is wrong.</param>
    /// <param name="declared">Where the parameters are declared, if in a file.</param>
    public static int[] Match(string what, string signature, IReadOnlyList<Slot> slots, ImmutableArray<ArgumentSyntax> arguments, int piped, TextSpan? site, Action<Diagnostic> report, TextSpan declared = default)
    {
        var given = new ArgumentSyntax?[slots.Count];
        var filled = new bool[slots.Count];
        var result = new int[arguments.Length];
        Array.Fill(result, -1);
        var at = 0;
        for (; piped > 0 && at < slots.Count; piped--)
        {
            filled[at] = true;
            if (!slots[at].IsVariadic)
                at++;
        }

        if (piped > 0)
            report(Declared(DiagnosticCodes.TooManyArguments.At(site ?? default, $"{what} takes {Count(slots)}, and gets more through the pipe")));
        ArgumentSyntax? named = null;
        var (isUnknown, isForeign, isMisplaced) = (false, false, false);
        for (var i = 0; i < arguments.Length; i++)
        {
            var argument = arguments[i];
            if (argument.Name is { } name)
            {
                named ??= argument;
                var slot = IndexOf(slots, name.Text);
                if ((slot < 0 || slots[slot].TakesNames) && Names(slots) is >= 0 and var names)
                {
                    if (arguments.Take(i).FirstOrDefault(a => a.Name?.Text == name.Text) is { } before)
                        report(DiagnosticCodes.DuplicateArgument.At(name.Span, $"`{name.Text}` is given twice").With(before.Span, "here, too"));
                    result[i] = names;
                    continue;
                }

                if (slot < 0 || slots[slot].IsVariadic)
                {
                    isUnknown = true;
                    var diagnostic = Declared(DiagnosticCodes.UnknownArgument.At(name.Span, $"{what} has no parameter `{name.Text}`")
                        .WithSuggestion(name.Text, name.Span, slots.Select(s => s.Name)).WithNote($"it takes {signature}"));

                    // Names that are like none of its own are meant for something else: one mistake.
                    if (diagnostic.Fix is not null || !isForeign)
                        report(diagnostic);
                    isForeign |= diagnostic.Fix is null;
                }
                else if (filled[slot])
                {
                    var diagnostic = DiagnosticCodes.DuplicateArgument.At(name.Span, $"`{name.Text}` is given twice");
                    report(given[slot] is { } other ? diagnostic.With(other.Span, "here, too") : diagnostic.WithNote($"what is piped in is `{name.Text}` already"));
                }
                else
                {
                    (filled[slot], given[slot], result[i]) = (true, argument, slot);
                }

                continue;
            }

            if (named is not null)
            {
                if (!isMisplaced)
                    report(DiagnosticCodes.PositionalAfterNamed.At(argument.Span, "an argument without a name comes after one with a name").With(named.Span, "named here"));
                isMisplaced = true;
                continue;
            }

            if (at == slots.Count || slots[at].TakesNames)
            {
                report(Declared(DiagnosticCodes.TooManyArguments.At(argument.Span, $"{what} takes {Count(slots)}, and this is one more").WithNote($"it takes {signature}")));
                break;
            }

            (filled[at], given[at], result[i]) = (true, argument, at);
            if (!slots[at].IsVariadic)
                at++;
        }

        // What is misspelt or in the wrong place is not missing, too.
        if (site is { } place && !isUnknown && !isMisplaced)
        {
            var missing = Enumerable.Range(0, slots.Count).Where(i => slots[i].IsRequired && !filled[i]).Select(i => $"`{slots[i].Name}`").ToArray();
            if (missing.Length > 0)
                report(Declared(DiagnosticCodes.MissingArgument.At(place, $"{what} needs {string.Join(" and ", missing)}").WithNote($"it takes {signature}")));
        }

        return result;

        Diagnostic Declared(Diagnostic diagnostic) => declared.IsNone ? diagnostic : diagnostic.With(declared, "declared here");
    }

    private static int IndexOf(IReadOnlyList<Slot> slots, string name)
    {
        for (var i = 0; i < slots.Count; i++)
        {
            if (slots[i].Name == name)
                return i;
        }

        return -1;
    }

    /// <summary>The parameter that takes all other names; −1 where there is none.</summary>
    private static int Names(IReadOnlyList<Slot> slots)
    {
        for (var i = 0; i < slots.Count; i++)
        {
            if (slots[i].TakesNames)
                return i;
        }

        return -1;
    }

    private static string Count(IReadOnlyList<Slot> slots) => slots.Count switch
    {
        0 => "no arguments",
        1 => "one argument",
        _ => $"{slots.Count} arguments",
    };
}
