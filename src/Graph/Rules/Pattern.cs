using System.Diagnostics.CodeAnalysis;

namespace Dnn.Graph;

/// <summary>What rules ask of nodes.</summary>
public static class Pattern
{
    /// <summary>Whether every element is one number, known here: a literal, stretched or not.</summary>
    public static bool IsSplat(this Expr node, out double value)
    {
        var negative = node.Op is Neg;
        var inner = negative ? node.Args[0] : node;
        if (inner.Op is Broadcast or Reshape)
            inner = inner.Args[0];
        value = inner.Op is Literal literal ? (negative ? -literal.Number : literal.Number) : double.NaN;
        return inner.Op is Literal;
    }

    public static bool IsSplatOf(this Expr node, double number) => node.IsSplat(out var value) && value == number;

    /// <summary>The node as the operation on one argument.</summary>
    public static bool Is<TOp>(this Expr node, [NotNullWhen(true)] out Expr? x)
        where TOp : Op
    {
        x = node.Op is TOp ? node.Args[0] : null;
        return x is not null;
    }

    /// <summary>The node as the operation on two arguments.</summary>
    public static bool Is<TOp>(this Expr node, [NotNullWhen(true)] out Expr? x, [NotNullWhen(true)] out Expr? y)
        where TOp : Op
    {
        (x, y) = node.Op is TOp ? (node.Args[0], node.Args[1]) : (null, null);
        return x is not null;
    }

    /// <summary>A number in the type and shape of a node.</summary>
    internal static Expr Like(this double value, Expr node) => Expr.Full(node.Shape, value, node.DType);

    internal static Expr Make(Op op, params ReadOnlySpan<Expr> args) => Expr.Make(op, args);
}
