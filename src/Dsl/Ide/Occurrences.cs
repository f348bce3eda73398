using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>A place where a name stands, in the original text.</summary>
internal sealed record Occurrence(TextSpan Span, Symbol? Symbol, CatalogEntry? Entry, string? Word, bool IsDeclaration);

/// <summary>Every name of a file with what it means, in order of place.</summary>
internal sealed class Occurrences
{
    private readonly ImmutableArray<Occurrence> all;

    public Occurrences(Binding binding, TolerantTree tolerant)
    {
        var source = tolerant.Tree.Source;
        var found = new Dictionary<int, Occurrence>();
        void Add(TextSpan span, Symbol? symbol, CatalogEntry? entry = null, string? word = null, bool isDeclaration = false)
        {
            if (span.IsNone || span.Source != source || span.Length == 0 || !tolerant.IsOriginal(span))
                return;
            var at = tolerant.Back(span);
            if (!found.TryGetValue(at.Start, out var known) || (isDeclaration && !known.IsDeclaration))
                found[at.Start] = new Occurrence(at, symbol, entry, word, isDeclaration);
        }

        foreach (var symbol in binding.Declared.Values.Concat(binding.File.Values).Where(s => s.Span.Source == source))
            Add(symbol.Span, symbol, isDeclaration: true);
        foreach (var (name, symbol) in binding.Uses)
            Add(name.Span, symbol, isDeclaration: symbol.Span == name.Span);
        foreach (var (node, entry) in binding.Entries)
            Add(node is FieldSyntax field ? field.Name.Span : node.Span, null, entry);
        foreach (var (name, word) in binding.Words)
            Add(name.Span, null, word: word);
        foreach (var (field, symbol) in binding.Qualified)
            Add(field.Name.Span, symbol);
        foreach (var node in tolerant.Tree.Root.DescendantsAndSelf())
        {
            switch (node)
            {
                case UpdateSyntax update when binding.Declared.TryGetValue(update, out var buffer):
                    Add(update.Name.Span, buffer);
                    break;
                case TrainSyntax train when binding.File.TryGetValue(train.Data.Text, out var data):
                    Add(train.Data.Span, data);
                    NamedArguments(train.Model);
                    break;
                case CallSyntax call:
                    NamedArguments(call);
                    break;
                case ImportSyntax import:
                    foreach (var name in import.Names.Where(n => binding.File.ContainsKey(n.Local.Text)))
                    {
                        Add(name.Name.Span, binding.File[name.Local.Text]);
                        Add(name.Local.Span, binding.File[name.Local.Text]);
                    }

                    break;
            }
        }

        all = [.. found.Values.OrderBy(o => o.Span.Start)];

        // A named argument is a use of the parameter.
        void NamedArguments(CallSyntax call)
        {
            if (call.Callee.Bare is not NameSyntax callee || !binding.Uses.TryGetValue(callee, out var symbol))
                return;
            var list = symbol.Declaration switch { LayerSyntax layer => layer.Hypers ?? layer.Tensors, ModelSyntax model => model.Hypers, _ => null };
            foreach (var argument in call.Arguments)
            {
                if (argument.Name is { } name && list?.Parameters.FirstOrDefault(p => p.Name.Text == name.Text) is { } parameter && binding.Declared.TryGetValue(parameter, out var declared))
                    Add(name.Span, declared);
            }
        }
    }

    public ImmutableArray<Occurrence> All => all;

    /// <summary>The name at a position, or right before it.</summary>
    public Occurrence? At(int position)
    {
        int low = 0, high = all.Length - 1;
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (all[middle].Span.Start <= position)
                low = middle;
            else
                high = middle - 1;
        }

        return all.Length > 0 && all[low].Span.Start <= position && position <= all[low].Span.End ? all[low] : null;
    }

    public IEnumerable<Occurrence> Of(Symbol symbol) => all.Where(o => o.Symbol == symbol);
}
