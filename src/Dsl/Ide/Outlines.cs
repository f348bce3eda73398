using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>The declarations of a file, and the statements in them that give names.</summary>
internal static class Outlines
{
    public static ImmutableArray<OutlineItem> Of(TolerantTree tolerant)
    {
        return [.. tolerant.Tree.Root.Declarations.SelectMany(Items)];

        IEnumerable<OutlineItem> Items(StatementSyntax statement) => statement switch
        {
            ImportSyntax n => [Item(n, n.Path, string.Join(", ", n.Names.Select(i => i.Local.Text)), IdeKind.Module, n.PathSpan)],
            HyperSyntax n => [Item(n, n.Name.Text, n.Type.Span.Text, IdeKind.Hyper, n.Name.Span)],
            LayerSyntax n => [Item(n, n.Name.Text, Lists(n), IdeKind.Layer, n.Name.Span, n.Body)],
            ModelSyntax n => [Item(n, n.Name.Text, n.Hypers?.Span.Text ?? "", IdeKind.Model, n.Name.Span, n.Body)],
            DataSyntax n => [Item(n, n.Name.Text, n.Source.Span.Shown, IdeKind.Data, n.Name.Span)],
            TrainSyntax n => [Item(n, n.Name?.Text ?? n.Model.Callee.Span.Text, $"on {n.Data.Text}", IdeKind.Train, n.Name?.Span ?? n.Model.Callee.Span)],
            TestSyntax n => [Item(n, n.Title.Value, "", IdeKind.Test, n.Title.Span)],
            LetSyntax n => Names(n.Pattern).Select(p => Item(n, p.Name.Text, n.Type?.Span.Text ?? "", IdeKind.Variable, p.Span)),
            ParamSyntax n => [Item(n, n.Name.Text, n.Type.Span.Text, IdeKind.Parameter, n.Name.Span)],
            BufferSyntax n => [Item(n, n.Name.Text, n.Type.Span.Text, IdeKind.Buffer, n.Name.Span)],
            InputSyntax n => [Item(n, n.Name.Text, n.Type.Span.Text, IdeKind.Input, n.Name.Span)],
            TargetSyntax n => [Item(n, n.Name.Text, n.Type.Span.Text, IdeKind.Target, n.Name.Span)],
            OutputSyntax n => [Item(n, n.Name.Text, "", IdeKind.Output, n.Name.Span)],
            MetricSyntax n => [Item(n, n.Name.Text, "", IdeKind.Metric, n.Name.Span)],
            LossSyntax n => [Item(n, n.Name?.Text ?? n.Value.Span.Shown, "", IdeKind.Loss, n.Name?.Span ?? n.Value.Span)],
            _ => [],
        };

        OutlineItem Item(SyntaxNode node, string name, string detail, IdeKind kind, TextSpan nameSpan, BlockSyntax? body = null) =>
            new(name, detail, kind, tolerant.Back(node.Span), tolerant.Back(nameSpan), body is null ? [] : [.. body.Statements.SelectMany(Items)]);

        static string Lists(LayerSyntax layer) => $"{layer.Hypers?.Span.Text}{layer.Tensors.Span.Text}{(layer.Result is null ? "" : $" -> {layer.Result.Span.Text}")}";

        static IEnumerable<NamePatternSyntax> Names(PatternSyntax pattern) => pattern.DescendantsAndSelf().OfType<NamePatternSyntax>().OrderBy(p => p.Span.Start);
    }
}
