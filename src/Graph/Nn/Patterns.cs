using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>A pattern of <see cref="Patterns"/> that is not well-formed, or that does not fit the tensor; it knows which characters are meant.</summary>
public sealed class PatternException : GraphException
{
    internal PatternException(string function, string pattern, string what, int start, int length, bool isMisfit = false, string? argument = null)
        : base($"{function} \"{pattern}\"{(argument is null ? $", at character {start + 1}" : "")}: {what}")
    {
        (What, Start, Length, IsMisfit, Argument) = (what, start, length, isMisfit, argument);
    }

    /// <summary>The reason alone.</summary>
    public string What { get; }

    /// <summary>The first character that is meant.</summary>
    public int Start { get; }

    public int Length { get; }

    /// <summary>Whether the pattern would do for another tensor.</summary>
    public bool IsMisfit { get; }

    /// <summary>The size that was given for a name that the pattern lacks.</summary>
    public string? Argument { get; }
}

/// <summary>How <see cref="Patterns.Reduce"/> makes one element of many.</summary>
public enum PatternReduction
{
    Mean,
    Sum,
    Max,
    Min,
    Prod,
}

/// <summary>
/// Movements, reductions and products of tensors whose axes are named in a pattern: <c>"b t (h e) -> b h t e"</c> (Rogozhnikov 2022) and
/// <c>"bij,bjk->bik"</c> (Einstein 1916).
/// </summary>
public static class Patterns
{
    /// <summary>
    /// x with its axes split, reordered and joined: <c>x.Rearrange("b t (h e) -> b h t e", ("h", 8))</c>. Parentheses stand for one axis that is the product of those
    /// inside, the last one running fastest; <c>1</c> and <c>()</c> for an axis of size 1, <c>...</c> for all axes that are not named.
    /// </summary>
    /// <param name="x">The tensor.</param>
    /// <param name="pattern">The axes before and after the arrow.</param>
    /// <param name="sizes">Sizes of names, for parentheses with several that are not known.</param>
    /// <exception cref="PatternException">The pattern is not well-formed or does not fit.</exception>
    public static Expr Rearrange(this Expr x, string pattern, params ReadOnlySpan<(string Name, Dim Size)> sizes) => Move("rearrange", x, pattern, sizes, null);

    /// <summary>x reduced over the axes that are missing after the arrow: <c>x.Reduce("b h w c -> b c", PatternReduction.Mean)</c>; otherwise as <see cref="Rearrange"/>.</summary>
    /// <param name="x">The tensor.</param>
    /// <param name="pattern">The axes before and after the arrow.</param>
    /// <param name="reduction">What becomes of several elements.</param>
    /// <param name="sizes">Sizes of names, for parentheses with several that are not known.</param>
    /// <exception cref="PatternException">The pattern is not well-formed or does not fit.</exception>
    public static Expr Reduce(this Expr x, string pattern, PatternReduction reduction, params ReadOnlySpan<(string Name, Dim Size)> sizes) => Move("reduce", x, pattern, sizes, reduction);

    /// <summary>
    /// The sum of products over the letters that the result lacks, as numpy.einsum: <c>Einsum("bij,bjk->bik", x, y)</c>. Each letter is an axis; blanks do not count; a
    /// letter that stands twice in one term takes the diagonal; <c>...</c> stands for axes that broadcast. Without an arrow the result has the letters that occur
    /// once, in alphabetical order.
    /// </summary>
    /// <exception cref="PatternException">The pattern is not well-formed or does not fit.</exception>
    public static Expr Einsum(string pattern, params ReadOnlySpan<Expr> tensors)
    {
        var (terms, output) = new EinsumPattern(pattern).Parse(tensors);
        var acc = terms[0];
        for (var i = 1; i < terms.Length; i++)
        {
            var kept = output.Concat(terms.Skip(i + 1).SelectMany(t => t.Axes)).ToHashSet();
            acc = Product(Without(acc, kept.Concat(terms[i].Axes)), Without(terms[i], kept.Concat(acc.Axes)), kept);
        }

        acc = Without(acc, output);
        return acc.Value.Transpose([.. output.Select(acc.Axes.IndexOf)]);
    }

    /// <summary>A tensor and the names of its axes.</summary>
    private readonly record struct Term(Expr Value, ImmutableArray<string> Axes);

    private static Term Without(Term term, IEnumerable<string> kept)
    {
        var stay = kept.ToHashSet();
        int[] gone = [.. Enumerable.Range(0, term.Axes.Length).Where(i => !stay.Contains(term.Axes[i]))];
        return gone.Length == 0 ? term : new Term(term.Value.Sum(gone), [.. term.Axes.Where(stay.Contains)]);
    }

    private static Term Product(Term x, Term y, HashSet<string> kept)
    {
        var shared = x.Axes.Intersect(y.Axes).ToArray();
        var summed = shared.Where(a => !kept.Contains(a)).ToArray();
        if (summed.Length == 0)
        {
            ImmutableArray<string> all = [.. x.Axes, .. y.Axes.Except(x.Axes)];
            return new Term(Aligned(x, all) * Aligned(y, all), all);
        }

        var batch = shared.Except(summed).ToArray();
        var dot = new DotGeneral(At(x, batch), At(y, batch), At(x, summed), At(y, summed));
        var (left, right) = (x.Value, y.Value);
        return new Term(Expr.Make(dot, left, right), [.. batch, .. x.Axes.Except(shared), .. y.Axes.Except(shared)]);

        static ValueList<int> At(Term term, string[] axes) => axes.Select(a => term.Axes.IndexOf(a)).ToValueList();
    }

    /// <summary>The tensor with its axes in the order of others, of size 1 where it lacks them.</summary>
    private static Expr Aligned(Term term, ImmutableArray<string> axes)
    {
        var own = axes.Where(a => term.Axes.Contains(a)).ToArray();
        var ordered = term.Value.Transpose([.. own.Select(a => term.Axes.IndexOf(a))]);
        return ordered.Reshape(new Shape([.. axes.Select(a => term.Axes.IndexOf(a) is >= 0 and var i ? term.Value.Shape[i] : Dim.One)]));
    }

    private static Expr Move(string function, Expr x, string text, ReadOnlySpan<(string Name, Dim Size)> sizes, PatternReduction? reduction)
    {
        var pattern = new AxisPattern(function, text);
        var (left, right) = pattern.Parse(reduction is not null);
        var known = new Dictionary<string, Dim>(StringComparer.Ordinal);
        foreach (var (name, size) in sizes)
        {
            if (!left.Any(g => g.Axes.Any(a => a.Name == name)))
                throw new PatternException(function, text, $"the pattern has no axis `{name}`", 0, text.Length, argument: name);
            known[name] = size;
        }

        // Every name is an axis of its own, moved, and joined again.
        var parts = pattern.Split(left, x.Shape, known);
        var apart = x.Reshape(new Shape([.. parts.Select(p => p.Size)]));
        var names = parts.Select(p => p.Name).ToList();
        var wanted = right.SelectMany(g => g.Axes).SelectMany(a => a.Name == AxisPattern.Rest ? names.Where(n => n.StartsWith(AxisPattern.Rest, StringComparison.Ordinal)) : [a.Name]).Where(n => n != AxisPattern.Unit).ToArray();
        int[] gone = [.. Enumerable.Range(0, names.Count).Where(i => !wanted.Contains(names[i]))];
        if (gone.Length > 0)
        {
            apart = reduction switch
            {
                PatternReduction.Mean => apart.Mean(gone),
                PatternReduction.Max => apart.ReduceMax(gone),
                PatternReduction.Min => apart.ReduceMin(gone),
                PatternReduction.Prod => apart.Prod(gone),
                _ => apart.Sum(gone),
            };
            names.RemoveAll(n => !wanted.Contains(n));
        }

        var moved = apart.Transpose([.. wanted.Select(n => names.IndexOf(n))]);
        var (dims, next) = (new List<Dim>(), 0);
        foreach (var group in right)
        {
            if (group is { IsJoined: false, Axes: [{ Name: AxisPattern.Rest }] })
                dims.AddRange(Enumerable.Range(0, Count(group)).Select(_ => moved.Shape[next++]));
            else
                dims.Add(Enumerable.Range(0, Count(group)).Aggregate(Dim.One, (product, _) => product * moved.Shape[next++]));
        }

        return moved.Reshape(new Shape([.. dims]));

        int Count(AxisGroup group) => group.Axes.Sum(a => a.Name == AxisPattern.Unit ? 0 : a.Name == AxisPattern.Rest ? names.Count(n => n.StartsWith(AxisPattern.Rest, StringComparison.Ordinal)) : 1);
    }

    private readonly record struct NamedAxis(string Name, int Start, int Length);

    /// <summary>An axis of the tensor: one name, or several in parentheses.</summary>
    private readonly record struct AxisGroup(ImmutableArray<NamedAxis> Axes, bool IsJoined, int Start, int Length);

    /// <summary>Reads <c>b t (h e) -> b h t e</c>.</summary>
    private sealed class AxisPattern(string function, string text)
    {
        public const string Rest = "...";
        public const string Unit = "1";
        private int at;

        public (ImmutableArray<AxisGroup> Left, ImmutableArray<AxisGroup> Right) Parse(bool reduces)
        {
            var left = Side(isLeft: true);
            if (at == text.Length)
                throw Bad($"the arrow `->` is missing: what stands on its right is the result, as in \"{(reduces ? "b h w c -> b c" : "b t (h e) -> b h t e")}\"", at, 0);
            at += 2;
            var right = Side(isLeft: false);
            var before = Names(left);
            var after = Names(right);
            foreach (var axis in after.Values.Where(a => !before.ContainsKey(a.Name)))
                throw Bad($"`{axis.Name}` stands on the right only; a new axis is written 1, and broadcast_to repeats along it", axis.Start, axis.Length);
            if (!reduces && before.Values.FirstOrDefault(a => !after.ContainsKey(a.Name)) is { Name: not null } lost)
                throw Bad($"`{lost.Name}` stands on the left only; `reduce` takes the mean, sum, product, maximum or minimum over an axis", lost.Start, lost.Length);
            return (left, right);
        }

        /// <summary>The names of the left side with their sizes; axes of size 1 without a name are left out.</summary>
        public List<(string Name, Dim Size)> Split(ImmutableArray<AxisGroup> left, Shape shape, Dictionary<string, Dim> known)
        {
            var rest = left.Any(g => g.Axes is [{ Name: Rest }]);
            var named = left.Length - (rest ? 1 : 0);
            var end = left.IsEmpty ? 0 : left[^1].Start + left[^1].Length;
            if (rest ? shape.Rank < named : shape.Rank != named)
            {
                var start = left.IsEmpty ? 0 : left[0].Start;
                throw Misfit($"the pattern has {(rest ? "at least " : "")}{named} {(named == 1 ? "axis" : "axes")}, and the tensor {shape} has {shape.Rank}", start, end - start);
            }

            var parts = new List<(string, Dim)>();
            var axis = 0;
            foreach (var group in left)
            {
                if (group.Axes is [{ Name: Rest }])
                {
                    for (var i = shape.Rank - named; i > 0; i--)
                        parts.Add(($"{Rest}{axis}", shape[axis++]));
                    continue;
                }

                var size = shape[axis++];
                var open = group.Axes.Where(a => a.Name != Unit && !known.ContainsKey(a.Name)).ToArray();
                var product = group.Axes.Where(a => known.ContainsKey(a.Name)).Aggregate(Dim.One, (p, a) => p * known[a.Name]);
                if (open.Length > 1)
                    throw Misfit($"how {size} splits into {string.Join(" · ", open.Select(a => a.Name))} is not known; give {(open.Length == 2 ? "one" : $"{open.Length - 1}")} of the sizes, as in {open[0].Name} = 8", group.Start, group.Length);
                if (open.Length == 0 && Dim.AreEqual(product, size) == Answer.Refuted)
                    throw Misfit($"this is {product}, and axis {axis - 1} of {shape} has size {size}", group.Start, group.Length);
                var quotient = product;
                if (open.Length == 1 && !Dim.TryDivide(size, product, out quotient))
                {
                    if (size.IsKnown && product.IsKnown)
                        throw Misfit($"{product} does not divide {size}, the size of axis {axis - 1} of {shape}{Nearest(product.Value, size.Value)}", group.Start, group.Length);
                    quotient = Dim.FloorDiv(size, product);
                }

                parts.AddRange(group.Axes.Where(a => a.Name != Unit).Select(a => (a.Name, known.TryGetValue(a.Name, out var given) ? (group.Axes.Length == 1 ? size : given) : quotient)));
            }

            return parts;
        }

        private ImmutableArray<AxisGroup> Side(bool isLeft)
        {
            var groups = ImmutableArray.CreateBuilder<AxisGroup>();
            while (Skip() && !At("->"))
            {
                var start = at;
                if (text[at] != '(')
                {
                    var axis = Axis();
                    groups.Add(new AxisGroup([axis], false, start, axis.Length));
                    continue;
                }

                at++;
                var inside = ImmutableArray.CreateBuilder<NamedAxis>();
                while (Skip() && text[at] != ')' && !At("->"))
                {
                    if (text[at] == '(')
                        throw Bad("parentheses stand for one axis and do not nest", at, 1);
                    inside.Add(Axis());
                    if (isLeft && inside[^1].Name == Rest)
                        throw Bad("how one axis splits into `...` is not known; name the parts", at - Rest.Length, Rest.Length);
                }

                if (at == text.Length || text[at] != ')')
                    throw Bad("this `(` is not closed", start, 1);
                at++;
                groups.Add(new AxisGroup(inside.ToImmutable(), true, start, at - start));
            }

            if (at == text.Length || isLeft)
                return groups.ToImmutable();
            throw Bad("a pattern has one arrow", at, 2);
        }

        private NamedAxis Axis()
        {
            var start = at;
            if (At(Rest))
            {
                at += Rest.Length;
                return new NamedAxis(Rest, start, Rest.Length);
            }

            while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] == '_'))
                at++;
            var name = text[start..at];
            if (name.Length == 0)
                throw Bad(text[at] == ')' ? "this `)` closes nothing" : $"`{text[at]}` means nothing here; a pattern is names, numbers 1, parentheses, `...` and one `->`", at, 1);
            if (char.IsAsciiDigit(name[0]) && name != Unit)
                throw Bad(char.IsAsciiLetter(name[^1]) || name.Contains('_') ? "a name starts with a letter" : $"an axis is a name or 1; write a name, and {name} as its size: n = {name}", start, name.Length);
            return new NamedAxis(name, start, name.Length);
        }

        private Dictionary<string, NamedAxis> Names(ImmutableArray<AxisGroup> side)
        {
            var names = new Dictionary<string, NamedAxis>(StringComparer.Ordinal);
            foreach (var axis in side.SelectMany(g => g.Axes).Where(a => a.Name != Unit))
            {
                if (!names.TryAdd(axis.Name, axis))
                    throw Bad($"`{axis.Name}` stands twice on this side{(axis.Name == Rest ? "" : "; einsum takes diagonals")}", axis.Start, axis.Length);
            }

            return names;
        }

        /// <summary>Whether there is more after blanks.</summary>
        private bool Skip()
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
                at++;
            return at < text.Length;
        }

        private bool At(string token) => string.CompareOrdinal(text, at, token, 0, token.Length) == 0;

        private PatternException Bad(string what, int start, int length) => new(function, text, what, start, length);

        /// <summary>The numbers next to one that does not divide that do.</summary>
        private static string Nearest(long divisor, long size)
        {
            if (divisor <= 0 || size <= 0)
                return "";
            var (below, above) = (Math.Min(divisor, size), divisor);
            while (size % below != 0)
                below--;
            while (above < size && size % above != 0)
                above++;
            return above < size ? $"; {below} and {above} do" : $"; {below} does";
        }

        private PatternException Misfit(string what, int start, int length) => new(function, text, what, start, length, isMisfit: true);
    }

    /// <summary>Reads <c>bij,bjk->bik</c>.</summary>
    private sealed class EinsumPattern(string text)
    {
        private const string Rest = "...";

        public (Term[] Terms, ImmutableArray<string> Output) Parse(ReadOnlySpan<Expr> tensors)
        {
            var arrow = text.IndexOf("->", StringComparison.Ordinal);
            var sides = new List<(int Start, int End)>();
            var end = arrow < 0 ? text.Length : arrow;
            for (var (start, i) = (0, 0); i <= end; i++)
            {
                if (i == end || text[i] == ',')
                {
                    sides.Add((start, i));
                    start = i + 1;
                }
            }

            if (tensors.IsEmpty)
                throw Bad("einsum takes a tensor for each term, and gets none", 0, text.Length);
            var subscripts = sides.Select(s => Letters(s.Start, s.End)).ToArray();
            if (sides.Count != tensors.Length)
                throw Misfit($"the pattern has {sides.Count} {(sides.Count == 1 ? "term" : "terms")}, and einsum gets {tensors.Length} {(tensors.Length == 1 ? "tensor" : "tensors")}", 0, end);
            var result = arrow < 0 ? null : Letters(arrow + 2, text.Length);
            var sizes = new Dictionary<string, (Dim Size, Shape Of)>(StringComparer.Ordinal);
            var rest = 0;
            for (var i = 0; i < tensors.Length; i++)
                rest = Math.Max(rest, Check(subscripts[i], sides[i], tensors[i].Shape, sizes));
            var terms = new Term[tensors.Length];
            for (var i = 0; i < tensors.Length; i++)
                terms[i] = Make(subscripts[i], tensors[i], sizes);
            return (terms, result is null ? Implied(subscripts, rest) : Output(result, sizes, rest));
        }

        private List<NamedAxis> Letters(int start, int end)
        {
            var letters = new List<NamedAxis>();
            for (var i = start; i < end; i++)
            {
                if (char.IsWhiteSpace(text[i]))
                    continue;
                if (string.CompareOrdinal(text, i, Rest, 0, Rest.Length) == 0 && i + Rest.Length <= end)
                {
                    if (letters.Any(l => l.Name == Rest))
                        throw Bad("`...` stands twice in this term", i, Rest.Length);
                    letters.Add(new NamedAxis(Rest, i, Rest.Length));
                    i += Rest.Length - 1;
                }
                else if (char.IsAsciiLetter(text[i]))
                {
                    letters.Add(new NamedAxis(text[i].ToString(), i, 1));
                }
                else
                {
                    throw Bad($"`{text[i]}` means nothing here; a pattern is letters, commas, `...` and one `->`", i, 1);
                }
            }

            return letters;
        }

        /// <summary>Finds the sizes of the letters of one term; gives the number of axes behind <c>...</c>.</summary>
        private int Check(List<NamedAxis> letters, (int Start, int End) side, Shape shape, Dictionary<string, (Dim Size, Shape Of)> sizes)
        {
            var hasRest = letters.Any(l => l.Name == Rest);
            var rest = shape.Rank - letters.Count(l => l.Name != Rest);
            if (rest < 0 || (rest > 0 && !hasRest))
                throw Misfit($"this term has {(hasRest ? "at least " : "")}{shape.Rank - rest} {(shape.Rank - rest == 1 ? "axis" : "axes")}, and its tensor {shape} has {shape.Rank}", side.Start, side.End - side.Start);
            var axis = 0;
            foreach (var letter in letters)
            {
                for (var i = letter.Name == Rest ? rest : 1; i > 0; i--)
                {
                    var (name, size) = (letter.Name == Rest ? $"{Rest}{i}" : letter.Name, shape[axis++]);
                    if (!sizes.TryGetValue(name, out var other) || (letter.Name == Rest && other.Size.Equals(Dim.One)))
                        sizes[name] = (size, shape);
                    else if (Dim.AreEqual(other.Size, size) == Answer.Refuted && !(letter.Name == Rest && size.Equals(Dim.One)))
                        throw Misfit($"`{letter.Name}` is {other.Size} in {other.Of} and {size} in {shape}", letter.Start, letter.Length);
                }
            }

            return rest;
        }

        private static Term Make(List<NamedAxis> letters, Expr x, Dictionary<string, (Dim Size, Shape Of)> sizes)
        {
            var rest = x.Rank - letters.Count(l => l.Name != Rest);
            var axes = letters.SelectMany(l => l.Name == Rest ? Enumerable.Range(0, rest).Select(i => $"{Rest}{rest - i}") : [l.Name]).ToList();
            x = x.DType.IsFloat() ? x : x.Cast(DType.Float);
            for (var i = axes.Count - 1; i >= 0; i--)
            {
                // What stretches has no part in sums: it is left out, and multiplies as a number does.
                if (axes[i].StartsWith(Rest, StringComparison.Ordinal) && x.Shape[i].Equals(Dim.One) && !sizes[axes[i]].Size.Equals(Dim.One))
                {
                    x = x.Squeeze(i);
                    axes.RemoveAt(i);
                }
            }

            for (var i = axes.Count - 1; i >= 0; i--)
            {
                var first = axes.IndexOf(axes[i]);
                if (first == i)
                    continue;
                var diagonal = Expr.Iota(x.Shape, first).EqualTo(Expr.Iota(x.Shape, i));
                x = Expr.Where(diagonal, x, 0).Sum(i);
                axes.RemoveAt(i);
            }

            return new Term(x, [.. axes]);
        }

        private static ImmutableArray<string> Implied(List<NamedAxis>[] terms, int rest) =>
        [
            .. Enumerable.Range(0, rest).Select(i => $"{Rest}{rest - i}"),
            .. terms.SelectMany(t => t).Where(l => l.Name != Rest).GroupBy(l => l.Name, StringComparer.Ordinal).Where(g => g.Count() == 1).Select(g => g.Key).Order(StringComparer.Ordinal),
        ];

        private ImmutableArray<string> Output(List<NamedAxis> letters, Dictionary<string, (Dim Size, Shape Of)> sizes, int rest)
        {
            var output = ImmutableArray.CreateBuilder<string>();
            foreach (var letter in letters)
            {
                if (letter.Name == Rest)
                    output.AddRange(Enumerable.Range(0, rest).Select(i => $"{Rest}{rest - i}"));
                else if (!sizes.ContainsKey(letter.Name))
                    throw Bad($"`{letter.Name}` stands in the result, and in no term", letter.Start, letter.Length);
                else if (output.Contains(letter.Name))
                    throw Bad($"`{letter.Name}` stands twice in the result", letter.Start, letter.Length);
                else
                    output.Add(letter.Name);
            }

            return output.ToImmutable();
        }

        private PatternException Bad(string what, int start, int length) => new("einsum", text, what, start, length);

        private PatternException Misfit(string what, int start, int length) => new("einsum", text, what, start, length, isMisfit: true);
    }
}
