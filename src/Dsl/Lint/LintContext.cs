using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>A product of data and parameters: a dense layer, a convolution, or an `x @ w` of one's own.</summary>
/// <param name="Node">The product.</param>
/// <param name="Data">What is multiplied.</param>
/// <param name="Weights">The parameters that multiply.</param>
/// <param name="Output">The product with its bias, where it has one.</param>
internal sealed record LinearMap(Expr Node, Expr Data, ImmutableArray<Parameter> Weights, Expr Output)
{
    /// <summary>How many numbers each output sums over.</summary>
    public double FanIn(Func<Dim, double> size) => Node.Op switch
    {
        DotGeneral dot => (Node.Args[0] == Data ? dot.LeftContract : dot.RightContract).Aggregate(1.0, (n, a) => n * size(Data.Shape[a])),
        _ => Node.Args[1].Shape.Dims[..^1].Aggregate(1.0, (n, d) => n * size(d)),
    };

    /// <summary>The sizes that it maps between.</summary>
    public (double In, double Out) Sizes(Func<Dim, double> size) => Node.Op switch
    {
        DotGeneral dot => (FanIn(size), (Node.Args[0] == Data ? Free(dot.RightBatch, dot.RightContract, Node.Args[1]) : Free(dot.LeftBatch, dot.LeftContract, Node.Args[0])).Aggregate(1.0, (n, d) => n * size(d))),
        _ => (size(Data.Shape[^1]), size(Node.Shape[^1])),
    };

    private static IEnumerable<Dim> Free(ValueList<int> batch, ValueList<int> contract, Expr x) =>
        DotGeneral.Free(x.Rank, batch, contract).Select(a => x.Shape[a]);
}

/// <summary>A nonlinear function of one tensor.</summary>
internal sealed record Activation(string Kind, Expr Input, Expr Output, SourceLocation? Location, string Path)
{
    private static readonly HashSet<string> SaturatingKinds = ["tanh", "sigmoid", "softsign", "hard_sigmoid", "erf"];

    private static readonly HashSet<string> ReluKinds = ["relu", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "swish", "mish", "softplus", "hard_swish"];

    public bool IsSaturating => SaturatingKinds.Contains(Kind);

    public bool IsRelu => ReluKinds.Contains(Kind);
}

/// <summary>x + f(x).</summary>
/// <param name="Sum">The sum.</param>
/// <param name="Skip">The operand that the branch does not touch.</param>
/// <param name="Branch">The other.</param>
/// <param name="Inside">The nodes of the branch.</param>
/// <param name="Last">The last linear map of the branch.</param>
internal sealed record ResidualBlock(Expr Sum, Expr Skip, Expr Branch, HashSet<Expr> Inside, LinearMap Last)
{
    public bool HasNorm { get; init; }

    public bool HasAttention { get; init; }

    public bool StartsAtZero { get; init; }

    /// <summary>Whether nothing takes the sum but a norm.</summary>
    public bool IsNormedAfter { get; init; }
}

/// <summary>What rules ask of a model: its graph in the training phase with uses, linear maps, activations, norms, residual blocks, predictions.</summary>
internal sealed class LintContext
{
    private static readonly HashSet<string> Norms = ["layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm"];

    /// <summary>Layers that are made of what is given to them.</summary>
    private static readonly HashSet<string> Containers = ["residual", "sequential", "chain", "repeat", "parallel", "checkpoint", "frozen", "no_decay", "lr_scale", "time_distributed", "message_passing"];

    private readonly Dictionary<Expr, int> index = [];
    private readonly Dictionary<Expr, List<Expr>> uses = [];
    private readonly HashSet<Expr> data = [];
    private readonly HashSet<Expr> parametric = [];
    private readonly HashSet<Expr> roots;
    private readonly Dictionary<Expr, Scope> scopeOfOutput = [];
    private readonly Dictionary<Expr, List<Scope>> scopesOfInput = [];
    private readonly Dictionary<Expr, Parameter> parameters;
    private readonly Lazy<Propagation> propagation;
    private readonly Lazy<ImmutableArray<LinearMap>> linearMaps;
    private readonly Lazy<ImmutableArray<Activation>> activations;
    private readonly Lazy<ImmutableArray<ResidualBlock>> residuals;
    private readonly Lazy<Dictionary<Expr, LinearMap>> mapOfNode;
    private readonly Lazy<Dictionary<Expr, Activation>> activationOfOutput;
    private readonly Lazy<Dictionary<Expr, Activation>> activationOfInput;

    public LintContext(Model model, LintOptions options)
    {
        Model = model;
        Options = options;
        parameters = model.Parameters.ToDictionary(p => p.Variable);
        // What a recurrence of the file does in a step is read as it was composed, beside the graph: its states and elements are given.
        Steps = [.. model.Bodies.Where(b => b.Walk is not null && !IsPartOfKnown(b.Scope))];
        roots = [.. model.Losses.Concat(model.Outputs).Concat(model.Metrics).Select(n => n.Value), .. Steps.SelectMany(s => s.Results)];
        Order = Expr.PostOrder(roots);
        var fed = model.Inputs.Concat(model.Targets).Select(i => i.Value).Concat(Steps.SelectMany(s => s.Given)).ToHashSet();
        foreach (var node in Order)
        {
            index[node] = index.Count;
            if (fed.Contains(node) || node.Args.Any(data.Contains))
                data.Add(node);
            if (parameters.ContainsKey(node) || node.Args.Any(parametric.Contains))
                parametric.Add(node);
            foreach (var arg in node.Args.Distinct())
            {
                if (!uses.TryGetValue(arg, out var users))
                    uses[arg] = users = [];
                users.Add(node);
            }
        }

        foreach (var scope in model.Scopes)
        {
            // Of layers inside of each other, the outermost of the catalog says what a value is; those of the file, and containers, do not.
            foreach (var output in scope.Outputs)
            {
                if (!scopeOfOutput.TryGetValue(output, out var known) || Containers.Contains(known.Kind) || Catalog.Find(known.Kind) is null)
                    scopeOfOutput[output] = scope;
            }

            foreach (var input in scope.Inputs)
            {
                if (!scopesOfInput.TryGetValue(input, out var list))
                    scopesOfInput[input] = list = [];
                list.Add(scope);
            }
        }

        propagation = new(() => Propagation.Of(model));
        linearMaps = new(() => [.. FindLinearMaps()]);
        mapOfNode = new(() => LinearMaps.ToDictionary(m => m.Node));
        activations = new(() => [.. FindActivations()]);
        activationOfOutput = new(() => Activations.GroupBy(a => a.Output).ToDictionary(g => g.Key, g => g.First()));
        activationOfInput = new(() => Activations.GroupBy(a => a.Input).ToDictionary(g => g.Key, g => g.First()));
        residuals = new(() => [.. FindResiduals()]);
    }

    public Model Model { get; }

    public LintOptions Options { get; }

    /// <summary>The steps of recurrences that are not those of the catalog.</summary>
    public ImmutableArray<OpenBody> Steps { get; }

    /// <summary>Every node, arguments first.</summary>
    public List<Expr> Order { get; }

    public Propagation Propagation => propagation.Value;

    public ImmutableArray<LinearMap> LinearMaps => linearMaps.Value;

    public ImmutableArray<Activation> Activations => activations.Value;

    public ImmutableArray<ResidualBlock> Residuals => residuals.Value;

    public IReadOnlyList<Expr> Uses(Expr node) => uses.TryGetValue(node, out var users) ? users : [];

    /// <summary>The place of a node in <see cref="Order"/>.</summary>
    public int IndexOf(Expr node) => index[node];

    public bool IsReachable(Expr node) => index.ContainsKey(node);

    public bool IsData(Expr node) => data.Contains(node);

    public bool IsParametric(Expr node) => parametric.Contains(node);

    public bool IsRoot(Expr node) => roots.Contains(node);

    public Parameter? Parameter(Expr node) => parameters.GetValueOrDefault(node);

    /// <summary>The layer or function whose result a node is; the innermost.</summary>
    public Scope? ResultOf(Expr node) => scopeOfOutput.GetValueOrDefault(node);

    public IEnumerable<Scope> AppliedTo(Expr node) => scopesOfInput.TryGetValue(node, out var scopes) ? scopes : [];

    public static bool IsNorm(Scope? scope) => scope is not null && Norms.Contains(scope.Kind);

    public bool IsNormResult(Expr node) => IsNorm(ResultOf(node));

    /// <summary>Whether the node was made by differentiation, rather than written.</summary>
    public bool IsDerived(Expr node) => Model.Provenance.Find(node) is { IsDerived: true };

    public SourceLocation? Location(Expr node) => Model.Provenance.Find(node)?.Location;

    /// <summary>The path of the layer that a node is part of.</summary>
    public string Path(Expr node) => Model.Provenance.Find(node)?.Scope?.Path ?? "";

    /// <summary>A named dimension counts as <see cref="Propagation.DefaultSize"/>.</summary>
    public static double Size(Dim dim) => dim.IsKnown ? dim.Value : dim.Substitute(_ => Dim.Of(Propagation.DefaultSize)) is { IsKnown: true } known ? known.Value : Propagation.DefaultSize;

    public LinearMap? MapAt(Expr node) => mapOfNode.Value.GetValueOrDefault(node);

    public Activation? ActivationAt(Expr output) => activationOfOutput.Value.GetValueOrDefault(output);

    public Activation? ActivationOf(Expr input) => activationOfInput.Value.GetValueOrDefault(input);

    // ---- Ways through the graph ------------------------------------------------------------------------------------------

    /// <summary>
    /// The data argument of a node that hands it on without a nonlinearity or another tensor of data: layout, bias, scale, dropout, sums over axes. Null where
    /// the node does something else.
    /// </summary>
    public Expr? Affine(Expr node)
    {
        if (ResultOf(node) is { Kind: "dropout" or "batch_norm", Inputs: [var x] } && x != node)
            return x;
        return Carried(node);
    }

    /// <summary>As <see cref="Affine"/>, but no batch norm.</summary>
    public Expr? Plain(Expr node) => ResultOf(node) is { Kind: "dropout", Inputs: [var x] } && x != node ? x : IsNormResult(node) ? null : Carried(node);

    private Expr? Carried(Expr node)
    {
        switch (node.Op)
        {
            case Movement or Phase or Identity or Neg or Sum:
                return IsData(node.Args[0]) ? node.Args[0] : null;
            case Cast { To: var to } when to.IsFloat() && node.Args[0].DType.IsFloat():
                return node.Args[0];
            case Add or Mul when IsData(node.Args[0]) != IsData(node.Args[1]):
                return node.Args[IsData(node.Args[0]) ? 0 : 1];
            case Div when IsData(node.Args[0]) && !IsData(node.Args[1]):
                return node.Args[0];
            case Select when !IsData(node.Args[0]) && IsData(node.Args[1]) != IsData(node.Args[2]):
                return node.Args[IsData(node.Args[1]) ? 1 : 2];
            default:
                return null;
        }
    }

    /// <summary>Where a node leads through affine steps only.</summary>
    /// <param name="start">The node.</param>
    /// <param name="step">Which steps count: <see cref="Affine"/> or <see cref="Plain"/>.</param>
    /// <param name="visit">Gets each node and each use of it that is no such step; to return false ends the walk.</param>
    public void Forward(Expr start, Func<Expr, Expr?> step, Func<Expr, Expr?, bool> visit)
    {
        var pending = new Stack<Expr>([start]);
        var seen = new HashSet<Expr> { start };
        while (pending.TryPop(out var node))
        {
            // A norm or dropout is one step, whatever is inside.
            var leaps = AppliedTo(node).Where(s => s.Outputs is [var y] && y != node && IsReachable(y) && (IsNorm(s) || s.Kind is "dropout")).ToArray();
            if (IsRoot(node) && !visit(node, null))
                return;
            foreach (var scope in leaps)
            {
                var y = scope.Outputs[0];
                if (step(y) == node)
                {
                    if (seen.Add(y))
                        pending.Push(y);
                }
                else if (!visit(node, y))
                {
                    return;
                }
            }

            foreach (var use in Uses(node))
            {
                if (leaps.Any(s => IsInside(use, s)))
                    continue;
                if (step(use) == node)
                {
                    if (seen.Add(use))
                        pending.Push(use);
                }
                else if (!visit(node, use))
                {
                    return;
                }
            }
        }
    }

    /// <summary>Whether a node was built in an application.</summary>
    public bool IsInside(Expr node, Scope scope)
    {
        for (var origin = Model.Provenance.Find(node); origin is not null; origin = origin.Other)
        {
            for (var s = origin.Scope; s is not null; s = s.Parent)
            {
                if (s == scope)
                    return true;
            }
        }

        return false;
    }

    /// <summary>
    /// What is met on all ways back from a node to activations and to what is fed, norms and activations being the ends; null beyond a number of nodes that no plain
    /// network has between two activations.
    /// </summary>
    public List<Expr>? Behind(Expr start)
    {
        const int Most = 400;
        var met = new List<Expr>();
        var seen = new HashSet<Expr> { start };
        var pending = new Stack<Expr>([start]);
        while (pending.TryPop(out var node))
        {
            met.Add(node);
            if (met.Count > Most)
                return null;
            if (IsNormResult(node) || (ActivationAt(node) is not null && node != start))
                continue;
            var from = node.Op is Phase ? node.Args[..1] : ResultOf(node) is { Kind: "dropout", Inputs: [var x] } ? [x] : node.Args;
            foreach (var arg in from)
            {
                if (IsData(arg) && arg.DType.IsFloat() && seen.Add(arg))
                    pending.Push(arg);
            }
        }

        return met;
    }

    // ---- What there is ---------------------------------------------------------------------------------------------------

    private IEnumerable<LinearMap> FindLinearMaps()
    {
        foreach (var node in Order)
        {
            if (!Propagation.IsLinearMap(node, IsData, out var at) || !IsParametric(node.Args[1 - at]) || IsDerived(node))
                continue;
            var weights = ParametersOf(node.Args[1 - at]);
            var output = Uses(node) is [{ Op: Add } sum] && sum.Args.All(a => a == node || !IsData(a)) ? sum : node;
            yield return new LinearMap(node, node.Args[at], weights, output);
        }
    }

    private ImmutableArray<Parameter> ParametersOf(Expr weight)
    {
        var found = ImmutableArray.CreateBuilder<Parameter>();
        var seen = new HashSet<Expr>();
        var pending = new Stack<Expr>([weight]);
        while (pending.TryPop(out var node))
        {
            if (!seen.Add(node))
                continue;
            if (Parameter(node) is { } parameter)
                found.Add(parameter);
            foreach (var arg in node.Args)
                pending.Push(arg);
        }

        return found.ToImmutable();
    }

    private IEnumerable<Activation> FindActivations()
    {
        var seen = new HashSet<Expr>();
        foreach (var scope in Model.Scopes)
        {
            if (scope is not { Inputs: [var x], Outputs: [var y] } || x == y || !IsReachable(y) || !IsData(x) || IsDerived(y))
                continue;
            if (scope.Kind is "relu" or "leaky_relu" or "prelu" or "elu" or "selu" or "celu" or "gelu" or "swish" or "mish" or "softplus" or "softsign" or "hard_sigmoid" or "hard_swish"
                && !IsPartOfKnown(scope.Parent) && seen.Add(y))
                yield return new Activation(scope.Kind, x, y, scope.Location, scope.Path);
        }

        foreach (var node in Order)
        {
            var kind = node.Op switch { Tanh => "tanh", Logistic => "sigmoid", Relu => "relu", Erf => "erf", Sin or Cos => node.Op.Name, _ => null };
            if (kind is null || !IsData(node.Args[0]) || seen.Contains(node) || IsDerived(node))
                continue;

            // Inside of a known function or layer it is no activation of its own.
            if (!IsPartOfKnown(Model.Provenance.Find(node)?.Scope))
                yield return new Activation(kind, node.Args[0], node, Location(node), Path(node));
        }
    }

    private static bool IsPartOfKnown(Scope? scope) => scope is not null && !Containers.Contains(scope.Kind) && Catalog.Find(scope.Kind) is not null;

    /// <summary>Whether a node was built by a layer or function of the catalog, whose insides are not the user's.</summary>
    public bool IsOfCatalog(Expr node) => IsPartOfKnown(Model.Provenance.Find(node)?.Scope);

    private IEnumerable<ResidualBlock> FindResiduals()
    {
        // A walk ends at the skip; what is no residual sum may walk far, so that there is a limit for all.
        var budget = 4L * Order.Count + 100_000;
        foreach (var sum in Order)
        {
            if (sum.Op is not Add || !sum.Args.All(IsData) || sum.Args[0] == sum.Args[1] || !sum.Args.All(a => a.Shape.Rank > 1) || IsDerived(sum) || IsOfCatalogSum(sum))
                continue;
            var (skip, branch) = index[sum.Args[0]] < index[sum.Args[1]] ? (sum.Args[0], sum.Args[1]) : (sum.Args[1], sum.Args[0]);
            if ((Between(skip, branch, ref budget) ?? Projected(ref skip, ref branch, ref budget)) is not { } inside)
                continue;
            var last = LastMap(branch, inside, out var zero);
            if (last is null)
                continue;
            yield return new ResidualBlock(sum, skip, branch, inside, last)
            {
                StartsAtZero = zero,
                HasNorm = inside.Any(IsNormResult) || IsNormResult(branch) || NormFollows(sum),
                IsNormedAfter = Uses(sum).Count > 0 && AppliedTo(sum).FirstOrDefault(IsNorm) is { } norm && Uses(sum).All(u => IsInside(u, norm)),
                HasAttention = inside.Any(n => n.Op is DotGeneral && n.Args.All(IsData)),
            };
        }
    }

    /// <summary>Sums inside of activations, norms and cells are no residual sums; those of blocks that the catalog has as layers are.</summary>
    private bool IsOfCatalogSum(Expr sum) =>
        Model.Provenance.Find(sum)?.Scope is { } scope && IsPartOfKnown(scope) && scope.Kind is not "transformer_block";

    private bool NormFollows(Expr sum)
    {
        var found = false;
        Forward(sum, Plain, (node, use) => !(found |= use is not null && IsNormResult(use)));
        return found;
    }

    /// <summary>The nodes on ways from one to another; null if there is none.</summary>
    private HashSet<Expr>? Between(Expr from, Expr to, ref long budget)
    {
        var (start, found) = (index[from], false);
        var inside = new HashSet<Expr> { to };
        var pending = new Stack<Expr>([to]);
        while (pending.TryPop(out var node) && budget-- > 0)
        {
            foreach (var arg in node.Op is Phase ? node.Args[..1] : node.Args)
            {
                found |= arg == from;
                if (arg != from && IsData(arg) && index[arg] > start && inside.Add(arg))
                    pending.Push(arg);
            }
        }

        return found ? inside : null;
    }

    /// <summary>A skip by a projection: a linear map and a norm of what the branch starts from.</summary>
    private HashSet<Expr>? Projected(ref Expr skip, ref Expr branch, ref long budget)
    {
        foreach (var (projected, other) in new[] { (skip, branch), (branch, skip) })
        {
            var x = projected;
            var maps = 0;
            while (true)
            {
                if (MapOf(x) is { } map && ++maps == 1)
                    x = map;
                else if (Affine(x) is { } before)
                    x = before;
                else
                    break;
            }

            if (maps == 1 && index[x] < index[other] && Between(x, other, ref budget) is { } inside && inside.Any(n => ActivationAt(n) is not null))
            {
                (skip, branch) = (x, other);
                return inside;
            }
        }

        return null;

        Expr? MapOf(Expr node) => Propagation.IsLinearMap(node, IsData, out var at) && IsParametric(node.Args[1 - at]) ? node.Args[at] : null;
    }

    /// <summary>The last linear map of a branch, and whether the branch begins at zero.</summary>
    private LinearMap? LastMap(Expr branch, HashSet<Expr> inside, out bool zero)
    {
        zero = false;
        var node = branch;
        while (true)
        {
            if (MapAt(node) is { } map)
            {
                zero |= map.Weights.Any(w => w.Initializer.IsZero);
                return map;
            }

            if (ResultOf(node) is { Inputs: [var x] } scope && IsNorm(scope) && x != node)
            {
                zero |= Model.Parameters.Any(p => p.Path == scope.Path + ".weight" && p.Initializer.IsZero);
                node = x;
            }
            else if (Plain(node) is { } before)
            {
                zero |= node.Op is Mul && node.Args.Any(a => !IsData(a) && ParametersOf(a).Any(p => p.Initializer.IsZero));
                node = before;
            }
            else
            {
                break;
            }

            if (!inside.Contains(node))
                return null;
        }

        // Behind an activation or a pool: the last map in order.
        return inside.Where(n => MapAt(n) is not null).OrderBy(n => index[n]).Select(MapAt).LastOrDefault();
    }
}
