using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>How what is being called is called.</summary>
internal static class Signatures
{
    /// <summary>A call that a position is inside of, as the tokens show it.</summary>
    /// <param name="Open">The token of its bracket.</param>
    /// <param name="Callee">The name that is called, with what stands before a point.</param>
    /// <param name="Index">How many arguments stand before.</param>
    /// <param name="Name">The name of the argument at the position; null if it has none.</param>
    /// <param name="Given">The names of the arguments that have one.</param>
    internal sealed record Call(int Open, string Callee, int Index, string? Name, ImmutableArray<string> Given)
    {
        /// <summary>Whether a layer that was just constructed is applied: the second brackets of <c>lstm(64)(x, lengths = n)</c>.</summary>
        public bool IsApplication { get; init; }
    }

    public static Signature? At(IdeFile file, int position)
    {
        var statements = new Statements(file.Tree);
        if (Around(file.Tree, statements, position) is not { } call)
            return null;
        var (label, names, text) = Of(file, call, position);
        if (label is null)
            return null;
        var parameters = ImmutableArray.CreateBuilder<SignatureParameter>();
        var at = label.IndexOf('(') + 1;
        foreach (var name in names)
        {
            at = label.IndexOf(name, at, StringComparison.Ordinal);
            if (at < 0)
                break;
            parameters.Add(new SignatureParameter(name, at));
            at += name.Length;
        }

        var active = call.Name is { } given
            ? names.FindIndex(n => n == given || n.StartsWith(given + ":", StringComparison.Ordinal) || n.StartsWith(given + " ", StringComparison.Ordinal))
            : call.Index < names.Count ? call.Index : -1;
        return new Signature(label, parameters.ToImmutable(), active, text);
    }

    /// <summary>The innermost call around a position.</summary>
    internal static Call? Around(SyntaxTree tree, Statements statements, int position)
    {
        var at = statements.At(position);
        if (tree.Tokens[at].Start >= position && at > 0)
            at--;
        var (index, name) = (0, (string?)null);
        var given = ImmutableArray.CreateBuilder<string>();
        for (; at > 0; at--)
        {
            var token = tree.Tokens[at];
            if (token.Kind.IsClosing() && token.Partner >= 0 && token.End <= position)
            {
                at = token.Partner;
                continue;
            }

            if (token.Kind is TokenKind.NewLine or TokenKind.LeftBrace)
                return null;
            if (token.Kind == TokenKind.Comma)
                index++;
            if (token.Kind == TokenKind.Equal && tree.Tokens[at - 1].Kind == TokenKind.Name && tree.Tokens[at - 2].Kind is TokenKind.Comma or TokenKind.LeftParen)
            {
                if (index == 0)
                    name = statements.Text(at - 1);
                given.Add(statements.Text(at - 1));
            }

            if (token.Kind is TokenKind.LeftParen or TokenKind.LeftBracket)
            {
                if (token.Kind == TokenKind.LeftParen && tree.Tokens[at - 1] is { Kind: TokenKind.RightParen, Partner: > 0 and var opening } && tree.Tokens[opening - 1].Kind == TokenKind.Name)
                    return new Call(at, statements.Text(opening - 1), index, name, given.ToImmutable()) { IsApplication = true };
                if (token.Kind == TokenKind.LeftBracket || tree.Tokens[at - 1].Kind != TokenKind.Name)
                {
                    // A list or a tuple is an argument of the call around it.
                    (index, name) = (0, null);
                    given.Clear();
                    continue;
                }

                var callee = statements.Text(at - 1);
                if (at > 2 && tree.Tokens[at - 2].Kind == TokenKind.Dot && tree.Tokens[at - 3].Kind == TokenKind.Name)
                    callee = $"{statements.Text(at - 3)}.{callee}";
                return at > 1 && tree.Tokens[at - 2].Kind == TokenKind.Name && statements.Text(at - 2) is "layer" or "model" ? null : new Call(at, callee, index, name, given.ToImmutable());
            }
        }

        return null;
    }

    private static (string? Label, List<string> Parameters, string Text) Of(IdeFile file, Call call, int position)
    {
        var tree = TolerantTree.Of(file.Tree, file.NameAround(position)).Tree;
        var visible = Visible(file, tree);
        var symbol = visible.FirstOrDefault(s => s.Name == call.Callee);
        if (new Applications(visible, tree).Of(call) is var (applied, inputs, _))
            return ($"{applied}({inputs})", Parts(inputs), (symbol?.Declaration as LayerSyntax)?.Documentation ?? Catalog.Find(applied)?.Equation ?? "");
        if (call.IsApplication)
            return (null, [], "");
        if (symbol is not null)
        {
            var list = symbol.Declaration switch { LayerSyntax layer => layer.Hypers ?? layer.Tensors, ModelSyntax model => model.Hypers, _ => null };
            return list is null ? (null, [], "") : (Binder.Signature(symbol.Name, list), [.. list.Parameters.Select(p => p.Span.Text)], (symbol.Declaration as StatementSyntax)?.Documentation ?? "");
        }

        if (call.Callee is "assert_shape" or "assert_gradients")
            return (Binder.AssertSignature(call.Callee), [.. Binder.AssertSlots(call.Callee).Select(s => s.Name)], HoverText.Words[call.Callee]);
        if (Catalog.Find(call.Callee) is { } entry)
            return (entry.ToString(), Parts(entry.Signature), entry.Equation);
        return TrainOptions.Find(call.Callee) is { } option ? ($"{option.Name}({option.Signature})", Parts(option.Signature), option.Meaning) : (null, [], "");
    }

    private static List<string> Parts(string signature)
    {
        var (parts, depth, start) = (new List<string>(), 0, 0);
        for (var i = 0; i <= signature.Length && signature.Length > 0; i++)
        {
            if (i == signature.Length || (signature[i] == ',' && depth == 0))
            {
                parts.Add(signature[start..i].Trim());
                start = i + 1;
            }
            else
            {
                depth += signature[i] is '(' or '[' ? 1 : signature[i] is ')' or ']' ? -1 : 0;
            }
        }

        return parts;
    }

    /// <summary>What names mean at the place of the cursor; those of the top level if nothing can stand there.</summary>
    private static IReadOnlyList<Symbol> Visible(IdeFile file, SyntaxTree tree)
    {
        var binding = file.Bind(tree);
        return binding.Visible ?? [.. binding.File.Values];
    }
}
