using System.Collections.Immutable;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace Dnn.Graph;

/// <summary>The three answers of arithmetic over sizes that are not all known.</summary>
public enum Answer
{
    Proved,
    Refuted,
    Unknown,
}

/// <summary>
/// The size of an axis: a polynomial with integer coefficients over named sizes (each at least 0) and
/// <c>floor_div</c> atoms, in canonical form, so that equal polynomials are equal values.
/// </summary>
public sealed class Dim : IEquatable<Dim>
{
    private static readonly Dim[] Small = [.. Enumerable.Range(0, 1025).Select(i => new Dim(i, []))];

    private readonly long constant;
    private readonly ImmutableArray<Term> terms;
    private string? text;

    private Dim(long constant, ImmutableArray<Term> terms)
    {
        this.constant = constant;
        this.terms = terms;
    }

    /// <summary>A factor of a monomial: a named size, or <c>floor_div(n, d)</c>.</summary>
    private sealed record Atom(string Text, Dim? Numerator, Dim? Denominator);

    private sealed record Factor(Atom Atom, int Power);

    /// <summary>A monomial: factors in the order of their texts, of which the key is made.</summary>
    private sealed record Term(string Key, ImmutableArray<Factor> Factors, long Coefficient);

    public static Dim One => Small[1];

    public static Dim Zero => Small[0];

    /// <summary>A named size, such as the batch size <c>B</c>.</summary>
    public static Dim Named(string name) => FromAtom(new Atom(name, null, null));

    public static Dim Of(long value) => value is >= 0 and <= 1024 ? Small[value] : new Dim(value, []);

    /// <summary>Whether the size is a number.</summary>
    public bool IsKnown => terms.IsEmpty;

    /// <summary>The number, where <see cref="IsKnown"/>.</summary>
    public long Value => IsKnown ? constant : throw new ShapeException($"the size {this} is not known here");

    /// <summary>The name, where the size is one name and nothing else.</summary>
    public string? Name => constant == 0 && terms is [{ Coefficient: 1, Factors: [{ Power: 1, Atom: { Numerator: null } atom }] }] ? atom.Text : null;

    /// <summary>The names that occur, floor_div atoms included.</summary>
    public IEnumerable<string> Names
    {
        get
        {
            if (IsKnown)
                return [];
            var found = new SortedSet<string>(StringComparer.Ordinal);
            var pending = new Stack<Dim>([this]);
            while (pending.TryPop(out var dim))
            {
                foreach (var (atom, _) in dim.terms.SelectMany(t => t.Factors))
                {
                    if (atom.Numerator is null)
                    {
                        found.Add(atom.Text);
                        continue;
                    }

                    pending.Push(atom.Numerator);
                    pending.Push(atom.Denominator!);
                }
            }

            return found;
        }
    }

    public static implicit operator Dim(int value) => Of(value);

    public static implicit operator Dim(long value) => Of(value);

    public static implicit operator Dim(string name) => Named(name);

    public static Dim operator +(Dim a, Dim b)
    {
        if (a.IsKnown || b.IsKnown)
            return Make(Add(a.constant, b.constant), a.IsKnown ? b.terms : a.terms);
        return Collect(Add(a.constant, b.constant), a.terms.Concat(b.terms));
    }

    public static Dim operator -(Dim a) => Of(-1) * a;

    public static Dim operator -(Dim a, Dim b) => a + -b;

    public static Dim operator *(Dim a, Dim b)
    {
        if (a.IsKnown && b.IsKnown)
            return Of(Multiply(a.constant, b.constant));
        if (a.Equals(One) || b.Equals(One))
            return a.Equals(One) ? b : a;
        var left = a.AllTerms();
        var right = b.AllTerms();
        return Collect(0, left.SelectMany(x => right.Select(y => Multiply(x, y))));
    }

    /// <summary>⌊a / b⌋, simplified where parts divide exactly.</summary>
    public static Dim FloorDiv(Dim a, Dim b)
    {
        if (b.IsKnown && b.constant <= 0)
            throw new ShapeException($"cannot divide the size {a} by {b}");
        if (TryDivide(a, b, out var exact))
            return exact;

        // ⌊m·a / m·b⌋ = ⌊a / b⌋
        if (b is { constant: 0, terms: [{ Coefficient: > 0 } only] } && TryDivide(a, Collect(0, [only with { Coefficient = 1 }]), out var rest))
            return FloorDiv(rest, Of(only.Coefficient));
        if (!b.IsKnown)
            return FromAtom(new Atom($"floor_div({a}, {b})", a, b));
        if (a.IsKnown)
            return Of(FloorDiv(a.constant, b.constant));

        // ⌊(b·q + r) / b⌋ = q + ⌊r / b⌋, taken coefficient by coefficient.
        var quotient = Collect(0, a.terms.Select(t => t with { Coefficient = FloorDiv(t.Coefficient, b.constant) })) + Of(FloorDiv(a.constant, b.constant));
        var remainder = a - (quotient * b);
        if (remainder.IsKnown)
            return quotient + Of(FloorDiv(remainder.constant, b.constant));

        // ⌊⌊x / m⌋ / n⌋ = ⌊x / (m·n)⌋
        if (remainder.constant == 0 && remainder.terms is [{ Coefficient: 1, Factors: [{ Power: 1, Atom: { Denominator.IsKnown: true } atom }] }])
            return quotient + FloorDiv(atom.Numerator!, atom.Denominator * b);
        var common = remainder.terms.Aggregate((long)BigInteger.GreatestCommonDivisor(remainder.constant, b.constant), (g, t) => (long)BigInteger.GreatestCommonDivisor(g, t.Coefficient));
        return common > 1 && TryDivide(remainder, Of(common), out var reduced)
            ? quotient + FloorDiv(reduced, Of(b.constant / common))
            : quotient + FromAtom(new Atom($"floor_div({remainder}, {b})", remainder, b));
    }

    /// <summary>⌈a / b⌉</summary>
    public static Dim CeilDiv(Dim a, Dim b) => FloorDiv(a + b - 1, b);

    /// <summary>a / b where b divides a whatever the named sizes are.</summary>
    public static bool TryDivide(Dim a, Dim b, out Dim quotient)
    {
        quotient = Zero;
        if (b.IsKnown)
        {
            if (b.constant == 0 || a.constant % b.constant != 0 || a.terms.Any(t => t.Coefficient % b.constant != 0))
                return false;
            quotient = Collect(a.constant / b.constant, a.terms.Select(t => t with { Coefficient = t.Coefficient / b.constant }));
            return true;
        }

        if (a.Equals(b))
        {
            quotient = One;
            return true;
        }

        if (b.constant != 0 || b.terms.Length != 1 || a.constant != 0)
            return false;
        var divisor = b.terms[0];
        var parts = new List<Term>();
        foreach (var term in a.terms)
        {
            if (term.Coefficient % divisor.Coefficient != 0)
                return false;
            var factors = term.Factors;
            foreach (var (atom, power) in divisor.Factors)
            {
                var at = factors.ToList().FindIndex(f => f.Atom.Text == atom.Text);
                if (at < 0 || factors[at].Power < power)
                    return false;
                factors = factors[at].Power == power ? factors.RemoveAt(at) : factors.SetItem(at, new(atom, factors[at].Power - power));
            }

            parts.Add(MakeTerm(factors, term.Coefficient / divisor.Coefficient));
        }

        quotient = Collect(0, parts);
        return true;
    }

    /// <summary>Whether two sizes are equal for all, for no, or for some values of the names.</summary>
    public static Answer AreEqual(Dim a, Dim b)
    {
        if (ReferenceEquals(a, b) || a.Equals(b))
            return Answer.Proved;
        if (a.IsKnown && b.IsKnown)
            return Answer.Refuted;
        return (a - b).IsPositive || (b - a).IsPositive ? Answer.Refuted : Answer.Unknown;
    }

    /// <summary>The value with every name bound; names that are not bound are an error.</summary>
    public long Evaluate(IReadOnlyDictionary<string, long> sizes) =>
        IsKnown ? constant : Substitute(name => sizes.TryGetValue(name, out var size) ? Of(size) : null).RequireKnown(this);

    /// <summary>Replaces names by sizes; names for which <paramref name="replacement"/> answers null stay.</summary>
    public Dim Substitute(Func<string, Dim?> replacement)
    {
        if (IsKnown)
            return this;
        var result = Of(constant);
        foreach (var term in terms)
        {
            var product = Of(term.Coefficient);
            foreach (var (atom, power) in term.Factors)
            {
                var factor = atom.Numerator is null
                    ? replacement(atom.Text) ?? FromAtom(atom)
                    : FloorDiv(atom.Numerator.Substitute(replacement), atom.Denominator!.Substitute(replacement));
                for (var i = 0; i < power; i++)
                    product *= factor;
            }

            result += product;
        }

        return result;
    }

    /// <summary>
    /// Solves this = <paramref name="value"/> for <paramref name="name"/>, where this is linear in it. Where the division is not known to be exact, the
    /// answer is null, or rounded down if that is asked for and the value is no number.
    /// </summary>
    public Dim? SolveFor(string name, Dim value, bool rounded = false)
    {
        var slope = Zero;
        foreach (var (_, factors, coefficient) in terms)
        {
            if (factors.Any(f => f.Atom.Numerator is { } numerator && (numerator.Names.Contains(name) || f.Atom.Denominator!.Names.Contains(name))))
                return null;
            if (factors.FirstOrDefault(f => f.Atom.Text == name) is not { } factor)
                continue;
            if (factor.Power > 1)
                return null;
            slope += Collect(0, [MakeTerm(factors.Remove(factor), coefficient)]);
        }

        if (slope.Equals(Zero))
            return null;
        var rest = this - (slope * Named(name));
        return TryDivide(value - rest, slope, out var solution) ? solution
            : rounded && !value.IsKnown && !(slope.IsKnown && slope.constant < 0) ? FloorDiv(value - rest, slope)
            : null;
    }

    public bool Equals(Dim? other) =>
        other is not null && (ReferenceEquals(this, other) || (constant == other.constant && terms.Length == other.terms.Length && ToString() == other.ToString()));

    public override bool Equals(object? obj) => Equals(obj as Dim);

    public override int GetHashCode() => IsKnown ? constant.GetHashCode() : StableHash.Of(ToString());

    public override string ToString()
    {
        if (text is not null)
            return text;
        var result = new StringBuilder();
        foreach (var term in terms)
        {
            var size = Math.Abs(term.Coefficient);
            result.Append(result.Length == 0 ? (term.Coefficient < 0 ? "-" : "") : term.Coefficient < 0 ? " - " : " + ");
            if (size != 1)
                result.Append(CultureInfo.InvariantCulture, $"{size}*");
            result.Append(term.Key);
        }

        if (result.Length == 0)
            result.Append(CultureInfo.InvariantCulture, $"{constant}");
        else if (constant != 0)
            result.Append(CultureInfo.InvariantCulture, $" {(constant < 0 ? '-' : '+')} {Math.Abs(constant)}");
        return text = result.ToString();
    }

    /// <summary>Whether the value is above 0 for all sizes, as far as the signs of the terms tell.</summary>
    private bool IsPositive => constant > 0 && IsNonNegative;

    private bool IsNonNegative => constant >= 0 && terms.All(t => t.Coefficient > 0 && t.Factors.All(f =>
        f.Atom.Numerator is null || f.Power % 2 == 0 || (f.Atom.Numerator.IsNonNegative && f.Atom.Denominator!.IsNonNegative)));

    private static long FloorDiv(long a, long b) => (a / b) - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);

    private static long Add(long a, long b)
    {
        try
        {
            return checked(a + b);
        }
        catch (OverflowException)
        {
            throw TooLarge();
        }
    }

    private static long Multiply(long a, long b)
    {
        try
        {
            return checked(a * b);
        }
        catch (OverflowException)
        {
            throw TooLarge();
        }
    }

    private static ShapeException TooLarge() => new("a size exceeds 2^63");

    private static Dim FromAtom(Atom atom) => new(0, [MakeTerm([new(atom, 1)], 1)]);

    private static Term MakeTerm(ImmutableArray<Factor> factors, long coefficient) =>
        new(factors is [{ Power: 1 } only] ? only.Atom.Text : string.Join("*", factors.SelectMany(f => Enumerable.Repeat(f.Atom.Text, f.Power))), factors, coefficient);

    private static Term Multiply(Term a, Term b)
    {
        var coefficient = Multiply(a.Coefficient, b.Coefficient);
        if (a.Factors.IsEmpty || b.Factors.IsEmpty)
            return (a.Factors.IsEmpty ? b : a) with { Coefficient = coefficient };
        var factors = new List<Factor>();
        foreach (var factor in a.Factors.Concat(b.Factors).OrderBy(f => f.Atom.Text, StringComparer.Ordinal))
        {
            if (factors is [.., var last] && last.Atom.Text == factor.Atom.Text)
                factors[^1] = new(last.Atom, last.Power + factor.Power);
            else
                factors.Add(factor);
        }

        return MakeTerm([.. factors], coefficient);
    }

    /// <summary>A sum of terms in any order: equal monomials are added, and go where nothing of them is left.</summary>
    private static Dim Collect(long constant, IEnumerable<Term> terms)
    {
        var sum = new List<Term>();
        foreach (var term in terms.OrderBy(t => t.Key, StringComparer.Ordinal))
        {
            if (term.Factors.IsEmpty)
                constant = Add(constant, term.Coefficient);
            else if (sum is [.., var last] && last.Key == term.Key)
                sum[^1] = last with { Coefficient = Add(last.Coefficient, term.Coefficient) };
            else
                sum.Add(term);
        }

        sum.RemoveAll(t => t.Coefficient == 0);
        return Make(constant, [.. sum]);
    }

    private static Dim Make(long constant, ImmutableArray<Term> terms) => terms.IsEmpty ? Of(constant) : new(constant, terms);

    private IEnumerable<Term> AllTerms() => constant == 0 ? terms : terms.Append(new Term("", [], constant));

    private long RequireKnown(Dim original) => IsKnown ? constant : throw new ShapeException($"the size {original} needs a value for {string.Join(", ", Names)}");
}

/// <summary>The sizes of a tensor's axes.</summary>
public sealed class Shape : IEquatable<Shape>
{
    private int hash;

    public Shape(params ReadOnlySpan<Dim> dims)
    {
        Dims = ImmutableArray.Create(dims);
    }

    /// <summary>The same, for languages without spans as variable arguments.</summary>
    public Shape(params Dim[] dims)
        : this(dims.AsSpan())
    {
    }

    /// <summary>The shape of one number: no axes.</summary>
    public static Shape Scalar { get; } = new();

    public ImmutableArray<Dim> Dims { get; }

    public int Rank => Dims.Length;

    public bool IsScalar => Dims.IsEmpty;

    /// <summary>Whether every size is a number.</summary>
    public bool IsKnown => Dims.All(d => d.IsKnown);

    /// <summary>The product of the sizes.</summary>
    public Dim ElementCount => Dims.Aggregate(Dim.One, (product, dim) => product * dim);

    public Dim this[Index axis] => Dims[axis];

    /// <summary>
    /// The shape that trailing-aligned broadcasting gives: missing axes and axes of size 1 stretch. Sizes that are not
    /// known to differ are taken to be equal and checked when a plan is made.
    /// </summary>
    /// <exception cref="ShapeException">Two sizes differ and neither is 1.</exception>
    public static Shape Broadcast(Shape a, Shape b)
    {
        if (a.Equals(b) || b.IsScalar)
            return a;
        if (a.IsScalar)
            return b;
        var rank = Math.Max(a.Rank, b.Rank);
        var dims = new Dim[rank];
        for (var i = 1; i <= rank; i++)
        {
            var left = i <= a.Rank ? a[^i] : Dim.One;
            var right = i <= b.Rank ? b[^i] : Dim.One;
            if (left.Equals(Dim.One))
                dims[^i] = right;
            else if (right.Equals(Dim.One) || Dim.AreEqual(left, right) != Answer.Refuted)
                dims[^i] = left;
            else
                throw new ShapeException($"{a} and {b} do not broadcast: axis {rank - i} has sizes {left} and {right}", a, b, rank - i);
        }

        return new Shape(dims);
    }

    /// <summary>An axis counted from the front, from one that may be negative.</summary>
    public int Axis(int axis) => axis >= -Rank && axis < Rank
        ? (axis < 0 ? axis + Rank : axis)
        : throw new ShapeException($"axis {axis} does not exist in {this}, which has {Rank} axes", this);

    public Shape With(int axis, Dim size) => new(Dims.SetItem(axis, size).AsSpan());

    public Shape Insert(int axis, Dim size) => new(Dims.Insert(axis, size).AsSpan());

    public Shape RemoveAt(int axis) => new(Dims.RemoveAt(axis).AsSpan());

    public Shape Substitute(Func<string, Dim?> replacement) => IsKnown ? this : new([.. Dims.Select(d => d.Substitute(replacement))]);

    /// <summary>The sizes as numbers.</summary>
    public int[] Evaluate(IReadOnlyDictionary<string, long> sizes)
    {
        var result = new int[Rank];
        for (var i = 0; i < Rank; i++)
        {
            var size = Dims[i].Evaluate(sizes);
            result[i] = size is >= 0 and <= int.MaxValue ? (int)size : throw new ShapeException($"axis {i} of {this} has the size {size}, which is out of range", this);
        }

        return result;
    }

    public bool Equals(Shape? other) => other is not null && (ReferenceEquals(this, other) || Dims.AsSpan().SequenceEqual(other.Dims.AsSpan()));

    public override bool Equals(object? obj) => Equals(obj as Shape);

    public override int GetHashCode()
    {
        if (hash == 0)
        {
            var code = new HashCode();
            foreach (var dim in Dims)
                code.Add(dim);
            hash = code.ToHashCode() | 1;
        }

        return hash;
    }

    public override string ToString() => "[" + string.Join(", ", Dims) + "]";
}

/// <summary>What a value is: the type of its elements and its shape.</summary>
public sealed record TensorType(DType DType, Shape Shape)
{
    public int Rank => Shape.Rank;

    public override string ToString() => DType == DType.Float ? Shape.ToString() : DType.Text() + Shape;
}

/// <summary>Sizes or element types that do not fit. <see cref="Exception.Message"/> names both sides.</summary>
public sealed class ShapeException(string message, Shape? left = null, Shape? right = null, int? axis = null) : GraphException(message)
{
    public Shape? Left { get; } = left;

    public Shape? Right { get; } = right;

    /// <summary>The axis that differs, counted in the result.</summary>
    public int? Axis { get; } = axis;

    /// <summary>The operation whose sizes do not fit, where a plan was made of it.</summary>
    public Expr? Node { get; init; }

    /// <summary>The place in the source that asks for other sizes, where it is known.</summary>
    public SourceLocation? Location { get; init; }

    public override string Message => Location is null ? base.Message : $"{base.Message}, at {Location}";
}

/// <summary>A graph that cannot be built as asked.</summary>
public class GraphException(string message) : Exception(message);

/// <summary>Hashes that are the same in every process.</summary>
public static class StableHash
{
    /// <summary>FNV-1a over UTF-16 code units.</summary>
    public static int Of(string text)
    {
        var hash = 2166136261u;
        foreach (var c in text)
            hash = (hash ^ c) * 16777619u;
        return (int)hash;
    }

    /// <summary>64-bit FNV-1a, for keys of random numbers.</summary>
    public static long Of64(string text)
    {
        var hash = 14695981039346656037ul;
        foreach (var c in text)
            hash = (hash ^ c) * 1099511628211ul;
        return (long)hash;
    }
}
