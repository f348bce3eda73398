namespace Dnn.Graph;

/// <summary>Rules inside of recurrences.</summary>
public static class RecurrenceRules
{
    /// <summary>The step of a scan in the normal form of <see cref="Rewriter.Default"/>.</summary>
    public static RewriteRule Body { get; } = Within("scan_body", () => Rewriter.Default);

    /// <summary>The step of a scan in the normal form of <see cref="Rewriter.Stabilize"/>.</summary>
    public static RewriteRule StableBody { get; } = Within("scan_stable_body", () => Rewriter.Stabilize);

    private static RewriteRule Within(string name, Func<Rewriter> rewriter) => new(name, "scan(f) = scan(f in normal form)", node =>
        node.Op is Scan scan && scan.Transform(body => rewriter().Rewrite(body)) is var changed && changed != scan ? Expr.Make(changed, node.Args.AsSpan()) : null);
}
