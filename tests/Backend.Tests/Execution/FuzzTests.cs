using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Programs drawn at random, with states, run step by step beside the reference evaluator.</summary>
public class FuzzTests
{
    [Fact]
    public void Random_programs_with_states_equal_their_reference()
    {
        for (var seed = 0; seed < 150; seed++)
            Check(seed);
    }

    private static void Check(int seed)
    {
        var random = new System.Random(seed);
        int[] sizes = [random.Next(1, 24), random.Next(1, 40), random.Next(1, 24)];
        var variables = Enumerable.Range(0, 5).Select(i => Expr.Variable($"v{i}", Draw(random, sizes, i % 3))).ToArray();
        var nodes = new List<Expr>(variables) { Expr.Scalar(0.5) };
        for (var i = 0; i < random.Next(5, 60); i++)
            nodes.Add(Grow(random, nodes));
        Expr Pick() => nodes[Math.Max(0, nodes.Count - 1 - random.Next(Math.Min(nodes.Count, 25)))];

        // Three states, two inputs; next values are nodes brought to the state's shape.
        var states = variables[2..].Select((v, i) => new ProgramState($"s{i}", v, random.Next(5) == 0 ? null : Fit(random.Next(3) == 0 ? variables[2 + random.Next(3)] : Pick(), v.Shape))).ToArray();
        var outputs = Enumerable.Range(0, random.Next(1, 4)).Select(i => new Named($"o{i}", Pick())).ToArray();
        var guards = random.Next(2) == 0 ? [] : new[] { Pick().Tanh().Sum() };
        var program = new Program([new Named("a", variables[0]), new Named("b", variables[1])], [.. states], [.. outputs], [.. guards]);
        var session = new Session(program, new PlanOptions { Float = DType.F64, Threads = 1 + (seed % 3) });
        session.Prepare(new Dictionary<string, long>());
        var values = variables.ToDictionary(v => v, v => RefValue<double>.Of(v.Shape.Evaluate(new Dictionary<string, long>()), Numbers(random, (int)v.Shape.ElementCount.Value)));
        for (var i = 0; i < 3; i++)
            session.SetState($"s{i}", ToTensor(values[variables[2 + i]]));
        for (var step = 0; step < 3; step++)
        {
            for (var i = 0; i < 2; i++)
            {
                values[variables[i]] = RefValue<double>.Of(values[variables[i]].Dims, Numbers(random, values[variables[i]].Length));
                session.SetInput(i == 0 ? "a" : "b", ToTensor(values[variables[i]]));
            }

            var expected = Reference.Evaluate(program.Roots, values);
            Assert.Equal(RunResult.Committed, session.Run());
            for (var i = 0; i < outputs.Length; i++)
                Same(seed, session.Plan, session.GetOutput(i), expected[i]);
            var at = outputs.Length + guards.Length;
            for (var i = 0; i < 3; i++)
            {
                if (states[i].Next is not null)
                    values[variables[2 + i]] = expected[at++];
                Same(seed, session.Plan, session.GetState($"s{i}"), values[variables[2 + i]]);
            }
        }
    }

    private static Expr Grow(System.Random random, List<Expr> nodes)
    {
        var x = nodes[Math.Max(0, nodes.Count - 1 - random.Next(12))];
        var y = nodes[random.Next(nodes.Count)];
        var same = nodes.Where(n => n.Shape.Equals(x.Shape)).ToArray();
        var z = same[random.Next(same.Length)];
        switch (random.Next(16))
        {
            case 0:
                return x.Tanh();
            case 1:
                return -x;
            case 2:
                return x * 0.5;
            case 3 or 4:
                return x + z;
            case 5 or 6:
                return (x * z).Tanh();
            case 7:
                return Expr.Where(x.LessThan(z), x, z * 0.5);
            case 8 when x.Rank > 0:
                return x.Mean(random.Next(x.Rank), keep: random.Next(2) == 0);
            case 9 when x.Rank > 1:
                return x.Transpose();
            case 10 when x.Rank > 0:
                return x.Reverse(random.Next(x.Rank));
            case 11 when x.Rank == 2:
                return x.MatMul(z.Transpose()).Tanh();
            case 12 when x.Rank > 0:
                return x.ReduceMax(random.Next(x.Rank));
            case 13 when x.Rank > 0 && x.Shape[0].Value > 1:
                return x.SliceAxis(0, 1, x.Shape[0]);
            case 14 when x.Rank > 0:
                return x.Reshape(new Shape(x.Shape.ElementCount));
            default:
                return x + Fit(y, x.Shape);
        }
    }

    /// <summary>A node brought to a shape.</summary>
    private static Expr Fit(Expr x, Shape shape) =>
        x.Shape.Equals(shape) ? x : x.Rank == 2 && shape.Equals(x.Transpose().Shape) ? x.Transpose() : x.Sum().Tanh().BroadcastTo(shape);

    private static Shape Draw(System.Random random, int[] sizes, int rank) => rank == 0 ? new Shape(sizes[0], sizes[1]) : rank == 1 ? new Shape(sizes[1], sizes[2]) : new Shape(sizes[random.Next(3)]);

    private static double[] Numbers(System.Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.NextDouble() * 2) - 1)];

    private static Tensor ToTensor(RefValue<double> value) => Tensor.Create((double[])value.Reals!.Clone(), value.Dims);

    private static void Same(int seed, Plan plan, Tensor actual, RefValue<double> expected)
    {
        var given = actual.AsSpan<double>();
        for (var i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(given[i] - expected.Reals![i]) <= 1e-9 * (1 + Math.Abs(expected.Reals[i])), $"seed {seed}: element {i} is {given[i]}, not {expected.Reals[i]}\n{plan}");
    }
}
