namespace Dnn.Graph;

/// <summary>Loops that are printed as such: equal stages of a pipe, turn by turn.</summary>
public static partial class ModelPrinter
{
    /// <summary>A stage of a pipe: a layer or function on what the stage before gives, and on nothing else.</summary>
    private readonly record struct Stage(Expr Node, string Text, Application? Application);

    /// <summary>Turns of a loop.</summary>
    /// <param name="Path">The path of the loop; that of a turn has its number in brackets.</param>
    /// <param name="Turns">How many.</param>
    /// <param name="Body">What each does.</param>
    /// <param name="Length">The number of nodes that it stands for.</param>
    private readonly record struct Repetition(string Path, int Turns, string Body, int Length);

    private sealed partial class Block
    {
        private readonly Dictionary<Expr, Repetition> repeats = [];

        private void FindRepeats()
        {
            var chain = new List<Stage>();
            foreach (var node in order)
            {
                var stage = StageOf(node);
                if (chain.Count > 0 && !(stage is not null && Piped(node) == chain[^1].Node && uses.GetValueOrDefault(chain[^1].Node) == 1 && Known(chain[^1].Node) is null))
                    FindRepeats(chain);
                if (stage is { } found)
                    chain.Add(found);
            }

            FindRepeats(chain);
        }

        /// <summary>Finds the loops in a chain of stages, which is then used up.</summary>
        private void FindRepeats(List<Stage> chain)
        {
            for (var i = 0; i < chain.Count; i++)
            {
                if (chain[i].Application is not { } first || LoopOf(first.Path) is not var (path, turn, _) || turn != 0 || Find(chain, i, path) is not var (start, repetition))
                    continue;
                repeats[chain[start].Node] = repetition;
                i = start + repetition.Length - 1;
            }

            chain.Clear();
        }

        /// <summary>The loop whose first layer stands at a place: functions before it may belong to each turn, too.</summary>
        private (int Start, Repetition Repetition)? Find(List<Stage> chain, int at, string path)
        {
            var next = at + 1;
            while (next < chain.Count && !(chain[next].Application is { } other && LoopOf(other.Path) is (var same, 1, _) && same == path))
                next++;
            if (next == chain.Count)
                return null;
            var length = next - at;
            (int, Repetition)? best = null;
            for (var start = at; start >= 0 && start > at - length && (start == at || chain[start].Application is null); start--)
            {
                var body = chain.GetRange(start, length);
                var turns = 1;
                while (IsTurn(chain, start + (turns * length), body, path, turns))
                    turns++;
                if (turns > (best?.Item2.Turns ?? 1) && IsTurn(chain, start, body, path, 0) && IsNamedByDefault(body))
                    best = (start, new(path, turns, string.Join(" |> ", body.Select(s => s.Text)), turns * length));
            }

            return best;
        }

        private static bool IsTurn(List<Stage> chain, int start, List<Stage> body, string path, int turn)
        {
            if (start + body.Count > chain.Count)
                return false;
            for (var i = 0; i < body.Count; i++)
            {
                var (stage, model) = (chain[start + i], body[i]);
                if (stage.Text != model.Text || (stage.Application is null) != (model.Application is null))
                    return false;
                if (stage.Application is { } application && (LoopOf(application.Path) != (path, turn, LoopOf(model.Application!.Path)?.Inside)))
                    return false;
            }

            return true;
        }

        /// <summary>Whether the layers of a turn have the paths that they get without names.</summary>
        private static bool IsNamedByDefault(List<Stage> body)
        {
            var counts = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (var (_, text, application) in body)
            {
                if (application is null)
                    continue;
                var rest = LoopOf(application.Path)!.Value.Inside;
                if (rest.Length == 0)
                    return body.Count == 1;
                var kind = application.Notation?.Name ?? text;
                if (rest != $".{kind}_{counts.GetValueOrDefault(kind)}")
                    return false;
                counts[kind] = counts.GetValueOrDefault(kind) + 1;
            }

            return true;
        }

        /// <summary>The loop, the turn and what follows in a path such as <c>repeat_0[3].dense_0</c>; null if the last brackets are none of a loop.</summary>
        private static (string Loop, int Turn, string Inside)? LoopOf(string path)
        {
            var close = path.LastIndexOf(']');
            var open = close < 0 ? -1 : path.LastIndexOf('[', close);
            return open > 0 && int.TryParse(path.AsSpan(open + 1, close - open - 1), out var turn) && (close == path.Length - 1 || path.LastIndexOf('.') == close + 1)
                ? (path[..open], turn, path[(close + 1)..])
                : null;
        }

        private Stage? StageOf(Expr node)
        {
            if (applications.TryGetValue(node, out var application))
            {
                var isSimple = application.Uses.IsEmpty && byPath[application.Path].Count == 1 && !needsName.Contains(application.Path)
                    && application.Scope is { Inputs.Length: 1, Outputs.Length: 1, Named.IsEmpty: true, Layer.ViewName: null };
                return isSimple ? new(node, writer.Construction(application), application) : null;
            }

            if (pieces.ContainsKey(node) || RegionOf(node) is not null || Piped(node) is null)
                return null;
            if (CallOf(node) is not { } call)
                return new(node, FunctionOf(node.Op)!, null);
            foreach (var size in call.Arguments.SelectMany(a => a.Sizes))
                Mention(size);
            var rest = call.Arguments.Skip(1).Select(a => a.Name is null ? a.Text : $"{a.Name} = {a.Text}").ToList();
            return new(node, rest.Count == 0 ? call.Name : $"{call.Name}({string.Join(", ", rest)})", null);
        }

        /// <summary><c>x |> repeat(3, dense(64) |> relu)</c></summary>
        private Piece Repeat(Repetition repetition, Piece input)
        {
            var made = $"repeat({repetition.Turns}, {repetition.Body})";
            if (Relative(repetition.Path) == $"repeat_{kinds.GetValueOrDefault("repeat")}")
            {
                kinds["repeat"] = kinds.GetValueOrDefault("repeat") + 1;
            }
            else
            {
                var name = Fresh(Identifier(Relative(repetition.Path)));
                Line($"let {Declared(repetition.Path, name)} = {made}");
                made = name;
            }

            return new($"{input.AsPiped()} |> {made}", Level.Pipe, input.Stages + 1, HasLayers: true);
        }
    }
}
