using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Names in expressions, and arguments.</summary>
internal sealed partial class Binder
{
    // ---- Expressions -------------------------------------------------------------------------------------------------

    private void Expression(ExprSyntax? expression)
    {
        switch (expression?.Bare)
        {
            case NameSyntax name:
                Name(name);
                break;
            case TupleSyntax tuple:
                foreach (var item in tuple.Items)
                    Expression(item);
                break;
            case ListSyntax list:
                foreach (var item in list.Items)
                    Expression(item);
                break;
            case ComprehensionSyntax comprehension:
                Source(comprehension.Source);
                Nested(() =>
                {
                    Pattern(comprehension.Pattern, SymbolKind.Variable, Nature.Unknown);
                    Expression(comprehension.Element);
                });
                break;
            case UnarySyntax unary:
                Expression(unary.Operand);
                Operands((unary.Operand, unary.Operator.Text()));
                break;
            case BinarySyntax binary:
                Expression(binary.First);
                foreach (var rest in binary.Rest)
                    Expression(rest.Operand);
                Operands([(binary.First, binary.Rest[0].Operator.Text()), .. binary.Rest.Select(rest => (rest.Operand, rest.Operator.Text()))]);
                break;
            case PipeSyntax pipe:
                Expression(pipe.First);
                var piped = pipe.First.Bare is TupleSyntax several ? several.Items.Length : 1;
                foreach (var stage in pipe.Stages)
                {
                    Stage(stage, piped);
                    piped = 1;
                }

                break;
            case IfSyntax @if:
                Expression(@if.Condition);
                Expression(@if.Then);
                Expression(@if.Else);
                break;
            case LambdaSyntax lambda:
                Nested(() =>
                {
                    Pattern(lambda.Pattern, SymbolKind.Variable, Nature.Unknown);
                    Expression(lambda.Value);
                    if (lambda.Block is not null)
                        Statements(lambda.Block, Body.Lambda);
                });
                break;
            case ForSyntax @for:
                Source(@for.Source);
                Nested(() =>
                {
                    Pattern(@for.Pattern, SymbolKind.Variable, Nature.Unknown);
                    foreach (var let in @for.Lets)
                        Statement(let);
                    Expression(@for.Body);
                });
                break;
            case CallSyntax call:
                Call(call, null);
                break;
            case IndexSyntax index:
                Expression(index.Target);
                foreach (var item in index.Indices)
                    Index(item);
                break;
            case FieldSyntax field:
                Field(field);
                break;
        }
    }

    private void Nested(Action bind)
    {
        var outer = scope;
        scope = new Scope(outer);
        bind();
        scope = outer;
    }

    private void Source(ExprSyntax source)
    {
        if (source is RangeSyntax range)
        {
            Expression(range.Start);
            Expression(range.End);
        }
        else
        {
            Expression(source);
        }
    }

    private void Index(ExprSyntax index)
    {
        switch (index)
        {
            case SliceSyntax slice:
                Expression(slice.Start);
                Expression(slice.Stop);
                Expression(slice.Step);
                break;
            case EllipsisSyntax:
                break;
            case NameSyntax { Name.Text: "None" } name when scope?.Find("None") is null:
                binding.Words[name] = "None";
                break;
            default:
                Expression(index);
                break;
        }
    }

    /// <summary>An operator is for numbers and tensors: what was meant for a layer is its application. One error says it, and none where a layer lacks its arguments.</summary>
    private void Operands(params ReadOnlySpan<(ExprSyntax Operand, string Operator)> operands)
    {
        foreach (var (operand, @operator) in operands)
        {
            if (NatureOf(operand) != Nature.Layer)
                continue;
            if (operand.Bare is not NameSyntax name || !incomplete.Contains(name))
                Report(LayerArithmetic(operand, @operator));
            return;
        }
    }

    internal static Diagnostic LayerArithmetic(ExprSyntax operand, string @operator) =>
        DiagnosticCodes.LayerArithmetic.At(operand.Span, $"`{@operator}` is for tensors and numbers, and this is a layer, not applied to anything")
            .WithNote($"`|>` binds more loosely than `{@operator}`: put parentheses around the application, as in (x |> {Short(operand)}) {@operator} y");

    private static string Short(ExprSyntax e) => e.Span.Text is { Length: <= 30 } text ? text : "f";

    /// <param name="name">A name where a value is.</param>
    /// <param name="words">Words that may stand there too.</param>
    private void Name(NameSyntax name, params ImmutableArray<string> words)
    {
        if (name.Name.Text == Probe)
        {
            See();
            return;
        }

        if (name.Name.Text == "_")
        {
            Report(DiagnosticCodes.UnknownName.At(name.Span, "`_` takes a value that is not used; it has none itself"));
            return;
        }

        if (Resolve(name) is { } symbol)
        {
            binding.Uses[name] = symbol;
            if (symbol.Kind is SymbolKind.Model or SymbolKind.Data)
                Report(DiagnosticCodes.WrongKind.At(name.Span, $"{symbol.Describe()} is no value").With(symbol.Span, "declared here"));
            if (symbol is { Kind: SymbolKind.Layer, Declaration: LayerSyntax { Hypers: not null } layer })
                Report(NeedsParentheses(name, $"`{symbol.Name}` has hyperparameters, so an instance is made by a call", Required(layer.Hypers)));
        }
        else if (Catalog.Find(name.Name.Text) is { } entry && !entry.Name.Contains('.'))
        {
            binding.Entries[name] = entry;
            if (entry.IsConstructor)
            {
                var required = string.Join(", ", entry.Parameters.Where(p => p.IsRequired).Select(p => p.Name));
                Report(NeedsParentheses(name, $"an instance of `{entry.Name}` is made by a call", required));
            }
            else if (entry.Kind is not CatalogKind.Constant && !entry.IsLayerByName)
            {
                Report(DiagnosticCodes.LayerNeedsParentheses.At(name.Span, $"`{entry.Name}` needs its arguments: {entry}"));
            }
        }
        else if (name.Name.Text == "training" && inTraining)
        {
            binding.Words[name] = "training";
        }
        else
        {
            Unknown(name.Name, scope, words);
        }
    }

    private readonly HashSet<NameSyntax> incomplete = [];

    private Diagnostic NeedsParentheses(NameSyntax name, string why, string required)
    {
        incomplete.Add(name);
        var diagnostic = DiagnosticCodes.LayerNeedsParentheses.At(name.Span, $"{why}: `{name.Name.Text}({required})`");
        return required.Length > 0 ? diagnostic : diagnostic.WithFix("add `()`", name.Span.AtEnd, "()");
    }

    private static string Required(ParameterListSyntax hypers) => string.Join(", ", hypers.Parameters.Where(p => p.Default is null).Select(p => p.Name.Text));

    private const int MaxSuggestions = 100;

    private int suggestions;

    private Symbol? Resolve(NameSyntax name) => scope?.Find(name.Name.Text) ?? file.GetValueOrDefault(name.Name.Text);

    private void Unknown(Identifier name, Scope? from, params ImmutableArray<string> words)
    {
        if (perhapsDeclared.Contains(name.Text) || !unknown.Add(name.Text))
            return;
        var diagnostic = DiagnosticCodes.UnknownName.At(name.Span, $"there is no `{name.Text}` here");
        if (name.Text is "training")
            diagnostic = diagnostic.WithNote("`training` is known inside of layers and models");
        else if (name.Text is "None" or "none" or "null")
            diagnostic = diagnostic.WithNote("`none` is a word of some arguments, and `None` makes an axis in an index: x[:, None]");
        else if (name.Text is "random" or "prim")
            diagnostic = diagnostic.WithNote($"`{name.Text}` is a family of functions: {(name.Text == "random" ? "random.normal(shape)" : "prim.add(x, y)")}");
        // Comparing with all names takes time for each: a text with this many unknown ones is not in need of suggestions.
        Report(suggestions++ < MaxSuggestions ? diagnostic.WithSuggestion(name.Text, name.Span, Known(from).Concat(words)) : diagnostic);
    }

    private IEnumerable<string> Known(Scope? from)
    {
        for (; from is not null; from = from.Parent)
        {
            foreach (var name in from.Names.Keys)
                yield return name;
        }

        foreach (var symbol in file.Values.Where(s => s.Kind is not (SymbolKind.Model or SymbolKind.Data)))
            yield return symbol.Name;
        foreach (var entry in Catalog.All.Where(e => !e.Name.Contains('.')))
            yield return entry.Name;
        if (from is null && scope is not null)
            yield return "training";
    }

    private void Field(FieldSyntax field)
    {
        if (field.Target.Bare is NameSyntax { Name.Text: "random" or "prim" } family && Resolve(family) is null)
        {
            var member = $"{family.Name.Text}.{field.Name.Text}";
            if (family.Name.Text == "prim" && Graph.Primitives.TryFind(field.Name.Text, out var primitive))
                binding.Primitives[field] = primitive;
            else if (Catalog.Find(member) is { } entry)
                binding.Entries[field] = entry;
            else
                Report(DiagnosticCodes.UnknownName.At(field.Name.Span, $"there is no `{member}`").WithSuggestion(field.Name.Text, field.Name.Span, Family(family.Name.Text)));
            return;
        }

        if (field.Target.Bare is NameSyntax name && Resolve(name) is null && ImportedAs(name.Name.Text) is { } imported)
            Qualified(field, imported);
        else
            Expression(field.Target);
    }

    private static IEnumerable<string> Family(string family) => family == "prim"
        ? Graph.Primitives.All.Select(p => p.Name)
        : Catalog.All.Where(e => e.Name.StartsWith(family + ".", StringComparison.Ordinal)).Select(e => e.Name[(family.Length + 1)..]);

    // ---- Calls -------------------------------------------------------------------------------------------------------

    private void Stage(ExprSyntax stage, int piped)
    {
        if (stage.Bare is CallSyntax call)
            Call(call, piped);
        else
            Expression(stage);
    }

    /// <param name="piped">The number of values that a pipe puts before the arguments; null outside of pipes.</param>
    private void Call(CallSyntax call, int? piped)
    {
        switch (call.Callee.Bare)
        {
            case NameSyntax name when Resolve(name) is { } symbol:
                binding.Uses[name] = symbol;
                CallOf(call, name, symbol, piped);
                return;
            case NameSyntax name when Catalog.Find(name.Name.Text) is { } entry && !entry.Name.Contains('.'):
                binding.Entries[name] = entry;
                CallOf(call, entry, piped);
                return;
            case NameSyntax name:
                Name(name);

                // A bare name may be a word that what is misspelt here would know.
                foreach (var argument in call.Arguments.Where(a => a.Name is null || a.Value.Bare is not NameSyntax word || Resolve(word) is not null))
                    Expression(argument.Value);
                return;
            case FieldSyntax { Target: NameSyntax { Name.Text: "random" or "prim" } family } field when Resolve(family) is null:
                Field(field);
                if (binding.Entries.TryGetValue(field, out var drawn))
                    CallOf(call, drawn, piped);
                else if (binding.Primitives.TryGetValue(field, out var primitive))
                    CallOf(call, primitive, piped);
                else
                    Values(call);
                return;
            case FieldSyntax { Name.Text: "with" } field when IsWith(call):
                Expression(field.Target);
                With(call, field);
                return;
            default:
                Expression(call.Callee);
                Values(call);
                return;
        }
    }

    /// <summary>Whether a call is <c>f.with(weight = w)</c>, which makes another view of a layer.</summary>
    internal static bool IsWith(CallSyntax call) => call.Callee.Bare is FieldSyntax { Name.Text: "with" } field && field.Target.Bare is not NameSyntax { Name.Text: "random" or "prim" };

    private void With(CallSyntax call, FieldSyntax field)
    {
        if (call.Arguments.IsEmpty)
            Report(DiagnosticCodes.MissingArgument.At(field.Name.Span, "`with` names the parameters that are replaced: f.with(weight = w)"));
        var seen = new HashSet<string>();
        foreach (var argument in call.Arguments)
        {
            if (argument.Name is not { } name)
                Report(DiagnosticCodes.MissingArgument.At(argument.Span, "`with` names the parameter that is replaced: f.with(weight = w)"));
            else if (!seen.Add(name.Text))
                Report(DiagnosticCodes.DuplicateArgument.At(name.Span, $"`{name.Text}` is given twice"));
        }

        Values(call);
    }

    private void Values(CallSyntax call)
    {
        foreach (var argument in call.Arguments)
            Expression(argument.Value);
    }

    private void CallOf(CallSyntax call, NameSyntax name, Symbol symbol, int? piped)
    {
        switch (symbol.Kind)
        {
            case SymbolKind.Layer:
                var layer = (LayerSyntax)symbol.Declaration!;
                var list = layer.Hypers ?? layer.Tensors;
                var makes = layer.Hypers is not null;
                Slot[] slots = [.. list.Parameters.Select(p => new Slot(p.Name.Text, p.Default is null))];
                ArgumentMatcher.Match($"`{symbol.Name}`", Signature(symbol.Name, list), slots, call.Arguments, makes ? 0 : piped ?? 0, piped is null || makes ? name.Span : null, Report, symbol.Span);
                break;
            case SymbolKind.Model or SymbolKind.Data:
                Report(DiagnosticCodes.WrongKind.At(name.Span, $"{symbol.Describe()} is not called like a function").With(symbol.Span, "declared here"));
                break;
            case SymbolKind.Hyper or SymbolKind.Dimension or SymbolKind.Tensor or SymbolKind.Input or SymbolKind.Target or SymbolKind.Output or SymbolKind.Parameter or SymbolKind.Buffer:
                Report(DiagnosticCodes.NotCallable.At(name.Span, $"{symbol.Describe()} is no layer and no function").With(symbol.Span, "declared here"));
                break;
        }

        Values(call);
    }

    internal static string Signature(string name, ParameterListSyntax list) => $"{name}({string.Join(", ", list.Parameters.Select(p => p.Span.Text))})";

    private void CallOf(CallSyntax call, CatalogEntry entry, int? piped)
    {
        if (entry.Kind == CatalogKind.Constant)
        {
            Report(DiagnosticCodes.NotCallable.At(call.Callee.Span, $"`{entry.Name}` is a constant; write it without parentheses"));
            Values(call);
            return;
        }

        Slot[] slots = [.. entry.Parameters.Select(p => p.Slot)];
        var before = entry.IsConstructor || entry.PipedInto >= 0 ? 0 : piped ?? 0;
        var wholeTuple = before > 1 && entry.TakesTuple;
        var places = ArgumentMatcher.Match($"`{entry.Name}`", entry.ToString(), slots, call.Arguments, wholeTuple ? 1 : before, piped is null || entry.IsConstructor ? call.Callee.Span : null, Report);
        for (var i = 0; i < call.Arguments.Length; i++)
        {
            var argument = call.Arguments[i];
            if (places[i] < 0)
            {
                // A name, or one with parentheses behind, is that of a parameter whose `=` is missing.
                if (argument.Value.Bare is not NameSyntax && !(argument.Value.Bare is CallSyntax { Callee: NameSyntax called } && entry.Parameters.Any(p => p.Name == called.Name.Text)))
                    Expression(argument.Value);
                continue;
            }

            Argument(argument.Value, entry.Parameters[places[i]]);
        }

        if (entry.Kind == CatalogKind.Derivative && entry.Name != "params")
        {
            for (var i = 0; i < call.Arguments.Length; i++)
            {
                if (places[i] == 1)
                    DifferentiationTarget(call.Arguments[i].Value);
            }
        }
    }

    private void Argument(ExprSyntax value, CatalogParameter parameter)
    {
        if (value.Bare is not NameSyntax word || word.Name.Text == Probe)
        {
            if (parameter.Kind == ParameterKind.Strings && value.Bare is ListSyntax { Items: var items } && items.Any(i => i.Bare is NameSyntax))
                Report(DiagnosticCodes.TypeMismatch.At(value.Span, $"`{parameter.Name}` takes strings: [\"a\", \"b\"]"));
            Expression(value);
            return;
        }

        if (parameter.TakesWord(word.Name.Text))
        {
            binding.Words[word] = word.Name.Text;
        }
        else if (parameter.Kind is ParameterKind.Word or ParameterKind.DType && Resolve(word) is null)
        {
            var words = parameter.Kind == ParameterKind.DType ? [.. Catalog.ElementTypes.Keys.Order(StringComparer.Ordinal)] : parameter.Words;
            Report(DiagnosticCodes.UnknownWord.At(word.Span, $"`{parameter.Name}` takes {string.Join(", ", words)}, not `{word.Name.Text}`").WithSuggestion(word.Name.Text, word.Span, words));
        }
        else if (parameter.Kind == ParameterKind.String && Resolve(word) is null && Catalog.Find(word.Name.Text) is null)
        {
            var text = $"\"{word.Name.Text}\"";
            Report(DiagnosticCodes.TypeMismatch.At(word.Span, $"`{parameter.Name}` takes a string: {text}").WithFix("put it in quotes", word.Span, text));
        }
        else
        {
            Name(word, parameter.Words);
        }
    }

    private void CallOf(CallSyntax call, Primitive primitive, int? piped)
    {
        var seen = new HashSet<string>();
        var tensors = piped ?? 0;
        foreach (var argument in call.Arguments)
        {
            if (argument.Name is not { } name)
            {
                if (seen.Count > 0)
                    Report(DiagnosticCodes.PositionalAfterNamed.At(argument.Span, "an argument without a name comes after one with a name"));
                tensors++;
                Expression(argument.Value);
                continue;
            }

            if (!primitive.Attributes.Contains(name.Text))
                Report(DiagnosticCodes.UnknownArgument.At(name.Span, $"`prim.{primitive.Name}` has no attribute `{name.Text}`").WithSuggestion(name.Text, name.Span, primitive.Attributes));
            else if (!seen.Add(name.Text))
                Report(DiagnosticCodes.DuplicateArgument.At(name.Span, $"`{name.Text}` is given twice"));
            if (argument.Value.Bare is NameSyntax word && Catalog.ElementTypes.ContainsKey(word.Name.Text))
                binding.Words[word] = word.Name.Text;
            else
                Expression(argument.Value);
        }

        if (primitive.Arity >= 0 && tensors != primitive.Arity)
            Report((tensors < primitive.Arity ? DiagnosticCodes.MissingArgument : DiagnosticCodes.TooManyArguments).At(call.Callee.Span, $"`prim.{primitive.Name}` takes {primitive.Arity} tensor{(primitive.Arity == 1 ? "" : "s")}, not {tensors}"));
    }

    private void DifferentiationTarget(ExprSyntax target)
    {
        switch (target.Bare)
        {
            case TupleSyntax tuple:
                foreach (var item in tuple.Items)
                    DifferentiationTarget(item);
                break;
            case ListSyntax list:
                foreach (var item in list.Items)
                    DifferentiationTarget(item);
                break;
            case NameSyntax name:
                if (binding.Uses.TryGetValue(name, out var symbol))
                    symbol.IsDifferentiated = true;
                break;
            case FieldSyntax or IndexSyntax:
            case CallSyntax { Callee: NameSyntax { Name.Text: "params" } }:
                break;
            default:
                Report(DiagnosticCodes.GradientTarget.At(target.Span, "a derivative is taken with respect to a name, a field such as `enc.weight`, an index, or a tuple or list of those")
                    .WithNote("bind the expression with `let` first, and use the name both here and in what is differentiated"));
                break;
        }
    }
}
