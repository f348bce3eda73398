using System.Globalization;

namespace Dnn.Graph;

/// <summary>Layers that stay layers when a model is printed.</summary>
public static partial class ModelPrinter
{
    /// <summary>One application of a layer that is printed as such.</summary>
    private sealed record Application(string Path, Scope Scope, int Index);

    /// <summary>The applications that are printed as layers: outermost ones of layers that have a notation, and that the graph contains as they were made.</summary>
    private sealed class KeptLayers
    {
        private readonly Model model;
        private readonly Dictionary<Expr, Application> atOutput = [];
        private readonly Dictionary<string, List<Application>> byPath = new(StringComparer.Ordinal);
        private readonly Dictionary<Expr, string> ownerOfVariable = [];
        private readonly Dictionary<string, string> ownerOfPath = new(StringComparer.Ordinal);

        public KeptLayers(Model model, IEnumerable<Application> applications)
        {
            this.model = model;
            foreach (var application in applications)
            {
                atOutput[application.Scope.Outputs[0]] = application;
                if (!byPath.TryGetValue(application.Path, out var others))
                    byPath[application.Path] = others = [];
                others.Add(application);
            }

            foreach (var (path, variable) in model.Parameters.Select(p => (p.Path, p.Variable)).Concat(model.Buffers.Select(b => (b.Path, b.Variable))))
            {
                if (byPath.Count > 0 && Owner(path) is { } owner)
                    (ownerOfVariable[variable], ownerOfPath[path]) = (owner, owner);
            }
        }

        public IEnumerable<string> Paths => byPath.Keys;

        public Application? At(Expr node) => atOutput.GetValueOrDefault(node);

        public IReadOnlyList<Application> Of(string path) => byPath[path];

        /// <summary>The layer that declares a parameter or buffer; null if the model does.</summary>
        public string? OwnerOf(string path) => ownerOfPath.GetValueOrDefault(path);

        public string? OwnerOf(Expr variable) => ownerOfVariable.GetValueOrDefault(variable);

        /// <summary>For a parameter of a layer, the first result of that layer.</summary>
        public Expr? FirstUseOf(Expr variable) => ownerOfVariable.TryGetValue(variable, out var path) ? byPath[path][0].Scope.Outputs[0] : null;

        public KeptLayers Without(IReadOnlySet<string> paths) => new(model, atOutput.Values.Where(a => !paths.Contains(a.Path)).OrderBy(a => a.Index));

        public static KeptLayers Find(Model model)
        {
            var roots = model.Outputs.Concat(model.Losses).Concat(model.Metrics).Select(n => n.Value).Concat(model.Buffers.Where(b => b.Next is not null).Select(b => b.Next!));
            var present = Expr.PostOrder(roots).ToHashSet();
            var declared = model.Parameters.Select(p => (p.Path, p.Variable)).Concat(model.Buffers.Select(b => (b.Path, b.Variable))).ToDictionary(d => d.Variable, d => d.Path);
            var unfit = model.Scopes.Where(s => s.Layer is not null && (!s.IsPlain || s.Layer.Notation is null || s.Outputs.Length != 1)).Select(s => s.Path).ToHashSet();
            var chosen = new List<Application>();
            var inside = new HashSet<Scope>();
            var outputs = new HashSet<Expr>();
            var counts = model.Scopes.Where(s => s.Layer is not null).GroupBy(s => s.Path).ToDictionary(g => g.Key, g => g.Count());
            for (var i = 0; i < model.Scopes.Length; i++)
            {
                var scope = model.Scopes[i];
                if (scope.Parent is { } parent && inside.Contains(parent))
                {
                    inside.Add(scope);
                    continue;
                }

                if (scope.Layer is null || unfit.Contains(scope.Path))
                    continue;
                var y = scope.Outputs[0];
                if (y.Args.IsEmpty || scope.Inputs.Contains(y) || !present.Contains(y) || !outputs.Add(y))
                    continue;
                if (!IsWhole(scope, counts[scope.Path], declared, model))
                {
                    unfit.Add(scope.Path);
                    outputs.Remove(y);
                    continue;
                }

                inside.Add(scope);
                chosen.Add(new Application(scope.Path, scope, i));
            }

            // What is not printed as a layer in one place is so in none, and layers inside of it are looked at by themselves.
            return new KeptLayers(model, chosen.Where(a => !unfit.Contains(a.Path)));
        }

        /// <summary>Whether the graph between inputs and result is that of the layer alone.</summary>
        private static bool IsWhole(Scope scope, int applications, Dictionary<Expr, string> declared, Model model)
        {
            var inputs = scope.Inputs.Concat(scope.Named.Select(n => n.Value)).ToHashSet();
            var isOnly = applications == 1;
            foreach (var node in Expr.PostOrder(scope.Outputs, inputs.Contains))
            {
                if (inputs.Contains(node))
                    continue;

                // Keys of random numbers, and what is read from buffers, depend on the order of applications.
                if (node.Op is RngBits && !isOnly)
                    return false;
                if (node.Op is Variable && node != RandomState.Seed && node != RandomState.Step && !(declared.TryGetValue(node, out var path) && IsUnder(path, scope.Path)))
                    return false;
            }

            return model.Buffers.Where(b => IsUnder(b.Path, scope.Path)).All(b => b.Next is not null && isOnly)
                && model.Parameters.Where(p => IsUnder(p.Path, scope.Path)).All(p => p.Options is { Frozen: false, LearningRateScale: 1 });
        }

        private static bool IsUnder(string path, string owner) => path.Length > owner.Length && path.StartsWith(owner, StringComparison.Ordinal) && path[owner.Length] is '.' or '[';

        private string? Owner(string path)
        {
            for (var end = path.Length - 1; end > 0; end--)
            {
                if (path[end] is '.' or '[' && byPath.ContainsKey(path[..end]))
                    return path[..end];
            }

            return null;
        }
    }

    private sealed partial class Writer
    {
        private readonly Dictionary<string, string> names = new(StringComparer.Ordinal);
        private readonly Dictionary<string, int> kinds = new(StringComparer.Ordinal);
        private readonly Dictionary<string, Initializer> explicitInit = new(StringComparer.Ordinal);
        private readonly HashSet<string> needsName = new(StringComparer.Ordinal);
        private readonly HashSet<string> constructed = new(StringComparer.Ordinal);

        /// <summary>Paths of layers that must be taken apart.</summary>
        public HashSet<string> Unfit { get; } = new(StringComparer.Ordinal);

        /// <summary>Names for layers, and for their parameters as fields of them.</summary>
        private void NameKept()
        {
            foreach (var path in kept.Paths)
            {
                used.Add(kept.Of(path)[0].Scope.Layer!.Notation!.Name);
                names[path] = "";
            }

            foreach (var path in kept.Paths)
                names[path] = Fresh(Identifier(path));
            foreach (var (path, variable) in model.Parameters.Select(p => (p.Path, p.Variable)).Concat(model.Buffers.Select(b => (b.Path, b.Variable))))
            {
                if (kept.OwnerOf(path) is { } owner)
                    pieces[variable] = new(names[owner] + path[owner.Length..], Level.Atom);
            }
        }

        /// <summary>Finds layers that cannot stay, and those that need a name or an initializer.</summary>
        private void CheckKept(List<Expr> order, List<Expr> roots)
        {
            var followers = new Dictionary<Expr, (bool Relu, bool Other)>();
            foreach (var node in order)
            {
                var isRelu = kept.At(node) is { } application ? Initializers.ReluFamily.Contains(application.Scope.Kind) : node.Op is Relu;
                foreach (var arg in Operands(node))
                {
                    Reference(arg);
                    if (kept.At(arg) is not null)
                        followers[arg] = followers.GetValueOrDefault(arg) is var f && isRelu ? (true, f.Other) : (f.Relu, true);
                }
            }

            foreach (var root in roots)
                Reference(root);
            var autos = model.Parameters.Where(p => p.IsAuto && kept.OwnerOf(p.Path) is not null).GroupBy(p => kept.OwnerOf(p.Path)!);
            foreach (var auto in autos)
            {
                var seen = kept.Of(auto.Key).Select(a => followers.GetValueOrDefault(a.Scope.Outputs[0])).ToArray();
                var certain = seen.All(s => !s.Relu) ? Initializers.XavierUniform : seen.All(s => s is { Relu: true, Other: false }) ? Initializers.HeNormal : null;
                if (auto.All(p => p.Path == auto.Key + ".weight" && p.Initializer.Equals(certain)))
                    continue;
                if (auto.ToArray() is [var weight] && weight.Path == auto.Key + ".weight" && kept.Of(auto.Key)[0].Scope.Layer!.Notation!.TakesInit)
                    explicitInit[auto.Key] = weight.Initializer;
                else
                    Unfit.Add(auto.Key);
            }

            void Reference(Expr node)
            {
                if (kept.OwnerOf(node) is not { } owner)
                    return;
                needsName.Add(owner);
                if (pieces[node].Text.Contains('['))
                    Unfit.Add(owner);
            }
        }

        /// <summary><c>let dense_0 = x |> dense(64)</c>, or the layer under its path and what it gives.</summary>
        private void WriteKept(Expr node, Application layer)
        {
            var notation = layer.Scope.Layer!.Notation!;
            var call = notation.ToSource(explicitInit.GetValueOrDefault(layer.Path));
            var name = names[layer.Path];
            var isInline = kept.Of(layer.Path).Count == 1 && !needsName.Contains(layer.Path) && layer.Path == $"{notation.Name}_{kinds.GetValueOrDefault(notation.Name)}";
            if (isInline)
                kinds[notation.Name] = kinds.GetValueOrDefault(notation.Name) + 1;
            else if (constructed.Add(layer.Path))
                text.Append(CultureInfo.InvariantCulture, $"  let {(name == layer.Path ? name : $"\"{layer.Path}\" as {name}")} = {call}\n");
            var inputs = layer.Scope.Inputs.Select(i => pieces[i].At(Level.Compare)).ToArray();
            var made = isInline ? call : name;
            var applied = layer.Scope.Named.IsEmpty && inputs.Length == 1
                ? $"{inputs[0]} |> {made}"
                : $"{made}({string.Join(", ", inputs.Concat(layer.Scope.Named.Select(n => $"{n.Name} = {pieces[n.Value].Text}")))})";
            var result = isInline ? name : Fresh(name + "_out");
            text.Append(CultureInfo.InvariantCulture, $"  let {result} = {applied}\n");
            pieces[node] = new(result, Level.Atom);
        }
    }
}
