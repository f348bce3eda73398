using System.Globalization;

namespace Dnn.Graph;

/// <summary>One node as an expression.</summary>
public static partial class ModelPrinter
{
    private sealed partial class Block
    {
        /// <summary>The call that a node is printed as, if it is.</summary>
        private FunctionCall? CallOf(Expr node)
        {
            if (writer.IsFlat || Model.Provenance.CallOf(node) is not { } call || writer.Hidden.Contains(call.Name))
                return null;
            var isOfLiterals = true;
            foreach (var tensor in call.Tensors)
            {
                if (!IsKnown(tensor))
                    return null;
                isOfLiterals &= tensor.Op is Literal;
            }

            // Functions of numbers are numbers.
            return isOfLiterals && node.Rank == 0 ? null : call;
        }

        /// <summary>Whether an operand of a call, which need not be in the graph, is made of what there is here.</summary>
        private bool IsKnown(Expr operand)
        {
            var nodes = owner?.Nodes ?? writer.Present;
            return nodes.Contains(operand) || pieces.ContainsKey(operand)
                || Expr.PostOrder([operand], n => nodes.Contains(n) || pieces.ContainsKey(n)).TrueForAll(n => n.Op is not (Variable or BodyParameter) || nodes.Contains(n) || pieces.ContainsKey(n));
        }

        /// <summary>
        /// The operands to print: those of a layer or call, and without broadcasts and reshapes that the operator or function puts there again, where it makes the
        /// same node.
        /// </summary>
        private Expr[] Operands(Expr node)
        {
            if (operands.TryGetValue(node, out var known))
                return known;
            return operands[node] = applications.TryGetValue(node, out var application) ? [.. application.Operands]
                : RegionOf(node) is { } region ? region.Operands
                : CallOf(node) is { } call ? [.. call.Tensors]
                : node.Op switch
                {
                    CustomGradient custom => [.. node.Args, .. Expr.PostOrder(custom.Rule.Gradients).Where(writer.PathOf.ContainsKey)],
                    Select => [node.Args[0], .. Bare(node, node.Args[1], node.Args[2])],
                    _ when Operation(node.Op) is not null => Bare(node, node.Args[0], node.Args[1]),
                    Reshape when node.Args[0] is { Op: Reduction reduction } reduced && reduced.Args[0].Op is not Literal && Reduced(reduction, reduced.Args[0], keep: true) == node => [reduced.Args[0]],
                    _ => [.. node.Args],
                };
        }

        /// <summary>The node whose result is piped into another: it is its first operand, and nothing else is to be written.</summary>
        private Expr? Piped(Expr node)
        {
            if (applications.TryGetValue(node, out var application))
                return application.Scope is { Named.IsEmpty: true, Inputs: [var only] } ? only : null;
            if (RegionOf(node) is { Body: var body })
                return body is { Walk: null, Inputs: [var input], Made.Length: 1 } ? input : null;
            if (CallOf(node) is { } call)
                return call.Arguments is [{ Name: null, IsList: false, Tensors: [var first] }, ..] && call.Arguments.Skip(1).All(a => a.Tensors.IsEmpty) && (call.IsLayer || call.Arguments.Length > 1) ? first : null;
            return node.Op is Relu or Tanh or Logistic or Exp or Log or Sqrt or Abs && IsReal(node) && !writer.Hidden.Contains(FunctionOf(node.Op)!) ? node.Args[0] : null;
        }

        private Piece Render(Expr node)
        {
            if (node.Op is CustomGradient custom)
                return Ruled(node, custom);
            if (Entered(node) is var entered && entered != node)
                return P(entered);
            if (CallOf(node) is { } call)
                return Called(call);
            var args = Operands(node);
            return node.Op switch
            {
                Literal { DType: DType.Float } literal when double.IsFinite(literal.Number) => Number(literal),
                Literal { DType: DType.Float } literal when !writer.Hidden.Contains(double.IsNaN(literal.Number) ? "nan" : "inf") => Number(literal),
                Phase => new($"if training then {P(args[0]).At(Level.Compare)} else {P(args[1]).At(Level.Compare)}", Level.Lambda),
                Reduction reduction when ReductionOf(reduction) is { } name && args[0].Op is not Literal && Reduced(reduction, args[0], keep: false) == node => Function(name, args[0], Along(reduction.Axes, args[0].Rank)),
                Reshape when node.Args[0] != args[0] => Function(ReductionOf((Reduction)node.Args[0].Op)!, args[0], Along(((Reduction)node.Args[0].Op).Axes, args[0].Rank) + ", keep = true"),
                Broadcast broadcast when args[0].Op is Literal { DType: DType.Float } && broadcast.Shape.Rank > 0 && Same(node, () => args[0].BroadcastTo(broadcast.Shape)) => Sized("full", broadcast.Shape, args[0]),
                _ when node.Args.All(a => a.Op is Literal) => null,
                Neg => new Piece("-" + P(args[0]).At(Level.Unary), Level.Unary),
                Not => new Piece($"not {P(args[0]).At(Level.Not)}", Level.Not),
                Or => new Piece($"{P(args[0]).At(Level.Or)} or {P(args[1]).At(Level.And)}", Level.Or),
                And => new Piece($"{P(args[0]).At(Level.And)} and {P(args[1]).At(Level.Not)}", Level.And),
                Select => Choice(node, args),
                _ when Operation(node.Op) is not null => Operator(node, args),
                _ when FunctionOf(node.Op) is { } name && IsReal(node) => Function(name, args[0], ""),
                _ => Known(node, args),
            }
            ?? Primitive(node);
        }

        /// <summary>Functions that turn what is no float into one do so before.</summary>
        private static bool IsReal(Expr node) => node.Op is StopGradient || (node.Args[0].DType.IsFloat() || (node.Args[0].DType == DType.I64 && node.Op is Abs or Sign)) && node.Args[0].Op is not Literal;

        private static string? FunctionOf(Op op) => op switch
        {
            Logistic => "sigmoid",
            Exp or Log or Log1p or Expm1 or Tanh or Erf or Sin or Cos or Sqrt or Rsqrt or Abs or Relu or Sign or Floor or Round or StopGradient => op.Name,
            _ => null,
        };

        /// <summary>Reductions that the catalog has under a name.</summary>
        private static string? ReductionOf(Reduction op) => op switch
        {
            Sum => "sum",
            ReduceMax => "max",
            ReduceMin => "min",
            _ => null,
        };

        private static Expr? Reduced(Reduction op, Expr x, bool keep) => op switch
        {
            Sum => x.Sum([.. op.Axes], keep),
            ReduceMax => x.ReduceMax([.. op.Axes], keep),
            ReduceMin => x.ReduceMin([.. op.Axes], keep),
            _ => null,
        };

        private static string Along(ValueList<int> axes, int rank) => axes.Count == rank ? "" : axes.Count == 1 ? $", axis = {axes[0]}" : $", axis = {axes}";

        /// <summary>A call of a function of one tensor, or a pipe into it where a pipe goes on.</summary>
        private Piece? Function(string name, Expr x, string rest)
        {
            if (writer.Hidden.Contains(name))
                return null;
            var piece = P(x);
            return piece.Level == Level.Pipe && rest.Length == 0
                ? new($"{piece.Text} |> {name}", Level.Pipe, piece.Stages + 1, piece.HasLayers)
                : new($"{name}({piece.Text}{rest})", Level.Atom, HasLayers: piece.HasLayers);
        }

        private Piece Called(FunctionCall call)
        {
            var texts = new List<string>();
            foreach (var argument in call.Arguments)
            {
                var text = argument.Text ?? (argument.IsList ? $"[{string.Join(", ", argument.Tensors.Select(t => P(t).Text))}]" : P(argument.Tensors[0]).Text);
                texts.Add(argument.Name is null ? text : $"{argument.Name} = {text}");
                foreach (var size in argument.Sizes)
                    Mention(size);
            }

            if (call.Arguments[0] is { Name: null, IsList: false, Tensors: [var first] } && P(first) is { Level: Level.Pipe } piece)
                return new($"{piece.Text} |> {call.Name}{(texts.Count > 1 ? $"({string.Join(", ", texts.Skip(1))})" : "")}", Level.Pipe, piece.Stages + 1, piece.HasLayers);
            return new($"{call.Name}({string.Join(", ", texts)})", Level.Atom);
        }

        private Piece Primitive(Expr node)
        {
            var attributes = node.Op switch
            {
                Barrier barrier => Identity(barrier.Symbol),
                Checkpoint checkpoint => Identity(checkpoint.Symbol),
                _ => node.Op.Attributes.Select(a => $"{a.Name} = {Printer.Text(a.Value)}"),
            };
            foreach (var value in node.Op.Attributes.Select(a => a.Value))
            {
                foreach (var size in value switch { Shape shape => shape.Dims, Dim dim => [dim], _ => [] })
                    Mention(size);
            }

            return new($"prim.{node.Op.Name}({string.Join(", ", node.Args.Select(a => node.Op is RngFold && a.Op is Literal number ? Printer.Number(number.Number) : P(a).Text).Concat(attributes))})", Level.Atom);
        }

        private IEnumerable<string> Identity(Symbol symbol) => writer.IdentityOf(symbol) is { } id ? [$"id = {Printer.Quote(id)}"] : [];

        private static Piece Number(Literal literal) => new(Printer.Number(literal.Number), double.IsNegative(literal.Number) ? Level.Unary : Level.Atom);

        // ---- Operators -----------------------------------------------------------------------------------------------

        private Piece? Operator(Expr node, Expr[] args)
        {
            var (x, y) = (args[0], args[1]);
            if (!TryTexts(node, x, y, out var left, out var right))
                return null;
            switch (node.Op)
            {
                case Add when y.Op is Neg && right.Text is ['-', .. var subtrahend]:
                    return new($"{left.At(Level.Add)} - {subtrahend}", Level.Add);
                case Add when y.Op is Literal { Number: < 0 } negative:
                    return new($"{left.At(Level.Add)} - {Printer.Number(-negative.Number)}", Level.Add);
                case Add:
                    return new($"{left.At(Level.Add)} + {right.At(Level.Mul)}", Level.Add);
                case Mul:
                    return new($"{left.At(Level.Mul)} * {right.At(Level.Mat)}", Level.Mul);
                case Div:
                    return new($"{left.At(Level.Mul)} / {right.At(Level.Mat)}", Level.Mul);
                case Pow:
                    return new($"{left.At(Level.Atom)} ** {right.At(Level.Unary)}", Level.Unary);
                case Max or Min:
                    var name = node.Op is Max ? "maximum" : "minimum";
                    return writer.Hidden.Contains(name) ? null : new($"{name}({left.Text}, {right.Text})", Level.Atom);
                default:
                    return new($"{left.At(Level.Add)} {Symbol(((Compare)node.Op).Kind)} {right.At(Level.Add)}", Level.Compare);
            }
        }

        private Piece? Choice(Expr node, Expr[] args) => !writer.Hidden.Contains("where") && args[0].Op is not Literal && TryTexts(node, args[1], args[2], out var x, out var y)
            ? new($"where({P(args[0]).Text}, {x.Text}, {y.Text})", Level.Atom)
            : null;

        /// <summary>
        /// The texts of two operands from which the operator makes the node: literals as numbers, which take the type of the other operand, or else with their type.
        /// </summary>
        private bool TryTexts(Expr node, Expr x, Expr y, out Piece left, out Piece right)
        {
            foreach (var bare in new[] { true, false })
            {
                var isBare = (Left: bare && IsNumber(x), Right: bare && IsNumber(y));
                if (Made(node, isBare.Left ? Untyped(x) : x, isBare.Right ? Untyped(y) : y))
                {
                    (left, right) = (isBare.Left ? Number((Literal)x.Op) : P(x), isBare.Right ? Number((Literal)y.Op) : P(y));
                    return true;
                }
            }

            (left, right) = (default, default);
            return false;

            static bool IsNumber(Expr e) => e.Op is Literal { DType: not DType.Bool } literal && double.IsFinite(literal.Number);

            static Expr Untyped(Expr e) => Expr.Scalar(((Literal)e.Op).Number);
        }

        private static Expr[] Bare(Expr node, Expr x, Expr y)
        {
            // A broadcast that names one size twice is an error in source.
            if (node.Shape.Dims.Where(d => !d.IsKnown).GroupBy(d => d).All(g => g.Count() == 1))
            {
                foreach (var a in Sources(x))
                {
                    foreach (var b in Sources(y))
                    {
                        if (Made(node, a, b))
                            return [a, b];
                    }
                }
            }

            return [x, y];
        }

        private static IEnumerable<Expr> Sources(Expr x)
        {
            // Truth values count as numbers by themselves.
            if (x.Op is Broadcast)
            {
                if (x.Args[0].Op is Reshape)
                    yield return x.Args[0].Args[0];
                if (IsCount(x.Args[0]))
                    yield return x.Args[0].Args[0];
                yield return x.Args[0];
            }

            if (IsCount(x))
                yield return x.Args[0];
            yield return x;

            static bool IsCount(Expr e) => e.Op is Cast { To: DType.Float } && e.Args[0].DType == DType.Bool;
        }

        private static bool Made(Expr node, Expr x, Expr y) => Same(node, () => node.Op is Select ? Expr.Where(node.Args[0], x, y) : Operation(node.Op)!(x, y));

        private static bool Same(Expr node, Func<Expr> build)
        {
            try
            {
                return build() == node;
            }
            catch (GraphException)
            {
                return false;
            }
        }

        private static Func<Expr, Expr, Expr>? Operation(Op op) => op switch
        {
            Add => (x, y) => x + y,
            Mul => (x, y) => x * y,
            Div => (x, y) => x / y,
            Pow => Expr.Pow,
            Max => Expr.Max,
            Min => Expr.Min,
            Compare { Kind: Comparison.Eq } => (x, y) => x.EqualTo(y),
            Compare { Kind: Comparison.Ne } => (x, y) => x.NotEqualTo(y),
            Compare { Kind: Comparison.Lt } => (x, y) => x.LessThan(y),
            Compare { Kind: Comparison.Le } => (x, y) => x.LessOrEqual(y),
            Compare { Kind: Comparison.Gt } => (x, y) => x.GreaterThan(y),
            Compare => (x, y) => x.GreaterOrEqual(y),
            _ => null,
        };

        private static string Symbol(Comparison kind) => kind switch
        {
            Comparison.Eq => "==",
            Comparison.Ne => "!=",
            Comparison.Lt => "<",
            Comparison.Le => "<=",
            Comparison.Gt => ">",
            _ => ">=",
        };

        // ---- Functions that mean the same ----------------------------------------------------------------------------

        /// <summary>A function of the catalog that makes this very node.</summary>
        private Piece? Known(Expr node, Expr[] args)
        {
            switch (node.Op)
            {
                case DotGeneral when args[0].Rank > 0 && args[1].Rank is 1 or 2 && Same(node, () => args[0].MatMul(args[1])):
                    return new($"{P(args[0]).At(Level.Mat)} @ {P(args[1]).At(Level.Unary)}", Level.Mat);
                case DotGeneral dot when EinsumOf(dot, args[0].Rank, args[1].Rank) is var pattern && Same(node, () => Patterns.Einsum(pattern, args[0], args[1])):
                    return Call("einsum", $"\"{pattern}\"", P(args[0]).Text, P(args[1]).Text);
                case Cast cast when args[0].Op is DimensionSize size && Same(node, () => args[0].Cast(cast.To)):
                    Mention(size.Size);
                    return Call("cast", size.Size.ToString(), cast.To.Text());
                case Cast cast when Same(node, () => args[0].Cast(cast.To)):
                    return Call("cast", P(args[0]).Text, cast.To.Text());
                case Reshape reshape when Same(node, () => args[0].Reshape(reshape.Shape)):
                    return Sized("reshape", reshape.Shape, args[0]);
                case Broadcast broadcast when Same(node, () => args[0].BroadcastTo(broadcast.Shape)):
                    return Sized("broadcast_to", broadcast.Shape, args[0]);
                case Transpose transpose when Same(node, () => args[0].Transpose([.. transpose.Permutation])):
                    return Call("transpose", P(args[0]).Text, transpose.Permutation.ToString());
                case Concat concat when args.Length > 1:
                    return Call("concat", $"[{string.Join(", ", args.Select(a => P(a).Text))}]", $"axis = {concat.Axis}");
                case Reverse reverse:
                    return Call("flip", P(args[0]).Text, $"axis = {reverse.Axes}");
                case Slice slice when Enumerable.Range(0, args[0].Rank).Where(a => !slice.Starts[a].Equals(Dim.Zero) || !slice.Limits[a].Equals(args[0].Shape[a]) || slice.Steps[a] != 1).ToArray() is [var axis]
                    && slice.Starts[axis].IsKnown && slice.Limits[axis].IsKnown && args[0].Shape[axis].IsKnown && Same(node, () => args[0].SliceAxis(axis, slice.Starts[axis], slice.Limits[axis], slice.Steps[axis])):
                    return Call("slice", [P(args[0]).Text, slice.Starts[axis].ToString(), slice.Limits[axis].ToString(), $"axis = {axis}", .. slice.Steps[axis] == 1 ? [] : new[] { $"step = {slice.Steps[axis]}" }]);
                case Gather { Batch: 0 } gather:
                    return Call("take", P(args[0]).Text, P(args[1]).Text, $"axis = {gather.Axis}");
                default:
                    return null;
            }
        }

        private Piece? Call(string name, params string[] arguments) => writer.Hidden.Contains(name) ? null : new($"{name}({string.Join(", ", arguments)})", Level.Atom);

        private Piece? Sized(string name, Shape shape, Expr x)
        {
            foreach (var size in shape.Dims)
                Mention(size);
            return name == "full" ? Call(name, shape.ToString(), P(x).Text) : Call(name, P(x).Text, shape.ToString());
        }

        /// <summary>The pattern of a product: each axis a letter, those of the batch first in the result, then those that either factor has alone.</summary>
        private static string EinsumOf(DotGeneral dot, int leftRank, int rightRank)
        {
            var (left, right) = (new char[leftRank], new char[rightRank]);
            var next = 'a';
            for (var i = 0; i < leftRank; i++)
                left[i] = next++;
            foreach (var (l, r) in dot.LeftBatch.Zip(dot.RightBatch).Concat(dot.LeftContract.Zip(dot.RightContract)))
                right[r] = left[l];
            for (var i = 0; i < rightRank; i++)
            {
                if (right[i] == 0)
                    right[i] = next++;
            }

            var output = dot.LeftBatch.Select(a => left[a])
                .Concat(Enumerable.Range(0, leftRank).Where(a => !dot.LeftBatch.Contains(a) && !dot.LeftContract.Contains(a)).Select(a => left[a]))
                .Concat(Enumerable.Range(0, rightRank).Where(a => !dot.RightBatch.Contains(a) && !dot.RightContract.Contains(a)).Select(a => right[a]));
            return string.Create(CultureInfo.InvariantCulture, $"{new string(left)},{new string(right)}->{string.Concat(output)}");
        }
    }
}
