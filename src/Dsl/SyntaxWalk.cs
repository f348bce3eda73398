using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>Trees as sequences of their nodes.</summary>
public static class SyntaxWalk
{
    /// <summary>A node and all below it, parents before children. The stack is explicit: chains of applications make deep trees.</summary>
    public static IEnumerable<SyntaxNode> DescendantsAndSelf(this SyntaxNode root)
    {
        var waiting = new Stack<SyntaxNode>();
        waiting.Push(root);
        while (waiting.TryPop(out var node))
        {
            yield return node;
            PushChildren(node, waiting);
        }
    }

    /// <summary>A node that more than so many levels stand above; null if there is none.</summary>
    internal static SyntaxNode? DeeperThan(this SyntaxNode root, int levels)
    {
        var waiting = new Stack<SyntaxNode>([root]);
        var depths = new Stack<int>([0]);
        while (waiting.TryPop(out var node))
        {
            var depth = depths.Pop();
            if (depth > levels)
                return node;
            var before = waiting.Count;
            PushChildren(node, waiting);
            for (var i = before; i < waiting.Count; i++)
                depths.Push(depth + 1);
        }

        return null;
    }

    private static void PushChildren(SyntaxNode node, Stack<SyntaxNode> waiting)
    {
        switch (node)
        {
            case UnitSyntax n: All(n.Declarations); break;
            case HyperSyntax n: Each(n.Type, n.Value, n.Range); break;
            case LayerSyntax n: Each(n.Hypers, n.Tensors, n.Result, n.Body, n.Gradient); break;
            case GradientSyntax n: Each(n.Body); break;
            case ParameterListSyntax n: All(n.Parameters); break;
            case ParameterSyntax n: Each(n.Type, n.Default); break;
            case ModelSyntax n: Each(n.Hypers, n.Body); break;
            case DataSyntax n:
                Each(n.Source);
                All(n.Options);
                break;
            case DataOptionSyntax n:
                All(n.Arguments);
                All(n.Steps);
                break;
            case TrainSyntax n:
                Each(n.Model);
                All(n.Options);
                break;
            case TrainOptionSyntax n:
                All(n.Arguments);
                Each(n.On, n.Every);
                All(n.Only);
                All(n.Renames);
                break;
            case RenameSyntax n: Each(n.Old, n.New); break;
            case TestSyntax n: Each(n.Title, n.Body); break;
            case BlockSyntax n: All(n.Statements); break;
            case LetSyntax n: Each(n.Path, n.Pattern, n.Type, n.Value); break;
            case ParamSyntax n:
                Each(n.Path, n.Type, n.Value);
                foreach (var option in n.Options) Each(option.Value);
                break;
            case BufferSyntax n: Each(n.Path, n.Type, n.Value); break;
            case UpdateSyntax n: Each(n.Value); break;
            case RequireSyntax n: Each(n.Condition, n.Message); break;
            case AssertSyntax n: Each(n.Condition, n.Message); break;
            case AssertCallSyntax n: Each(n.Call); break;
            case AssertErrorSyntax n: Each(n.Code, n.Body); break;
            case ReturnSyntax n: Each(n.Value); break;
            case InputSyntax n: Each(n.Type); break;
            case TargetSyntax n: Each(n.Type); break;
            case OutputSyntax n: Each(n.Value); break;
            case MetricSyntax n: Each(n.Value); break;
            case LossSyntax n: Each(n.Value); break;
            case TuplePatternSyntax n: All(n.Items); break;
            case TensorTypeSyntax n: All(n.Dimensions); break;
            case TupleTypeSyntax n: All(n.Items); break;
            case ListTypeSyntax n: Each(n.Element); break;
            case ParenthesizedSyntax n: Each(n.Inner); break;
            case TupleSyntax n: All(n.Items); break;
            case ListSyntax n: All(n.Items); break;
            case ComprehensionSyntax n: Each(n.Element, n.Pattern, n.Source); break;
            case RangeSyntax n: Each(n.Start, n.End); break;
            case UnarySyntax n: Each(n.Operand); break;
            case BinarySyntax n:
                Each(n.First);
                foreach (var rest in n.Rest) Each(rest.Operand);
                break;
            case PipeSyntax n:
                Each(n.First);
                All(n.Stages);
                break;
            case IfSyntax n: Each(n.Condition, n.Then, n.Else); break;
            case LambdaSyntax n: Each(n.Pattern, n.Value, n.Block); break;
            case ForSyntax n:
                Each(n.Pattern, n.Source, n.Body);
                All(n.Lets);
                break;
            case CallSyntax n:
                Each(n.Callee);
                All(n.Arguments);
                break;
            case ArgumentSyntax n: Each(n.Value); break;
            case IndexSyntax n:
                Each(n.Target);
                All(n.Indices);
                break;
            case SliceSyntax n: Each(n.Start, n.Stop, n.Step); break;
            case FieldSyntax n: Each(n.Target); break;
            case ImportSyntax or NamePatternSyntax or DiscardPatternSyntax or NamedTypeSyntax or NumberSyntax or StringSyntax or BoolSyntax
                or NameSyntax or EllipsisSyntax or ErrorSyntax:
                break;
            default: throw new ArgumentOutOfRangeException(nameof(node), node.GetType().Name, null);
        }

        void Each(params ReadOnlySpan<SyntaxNode?> nodes)
        {
            foreach (var child in nodes)
            {
                if (child is not null) waiting.Push(child);
            }
        }

        void All<T>(ImmutableArray<T> nodes) where T : SyntaxNode
        {
            foreach (var child in nodes) waiting.Push(child);
        }
    }
}
