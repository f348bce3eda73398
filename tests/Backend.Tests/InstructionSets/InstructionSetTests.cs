using System.Diagnostics;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>
/// Kernels of every kind with instruction sets switched off: products, convolutions and their gradients, vector functions, fused kernels and MathNet's. Their
/// tests run once more in a process without what is switched off.
/// </summary>
public class InstructionSetTests
{
    public static TheoryData<SimdPath> Lesser => new(Enum.GetValues<SimdPath>().Where(p => p < Gemm.Path));

    [Theory]
    [MemberData(nameof(Lesser))]
    public async Task Kernels_hold_with_instruction_sets_switched_off(SimdPath path)
    {
        Type[] classes = [typeof(VectorMathTests), typeof(FusedKernelTests), typeof(ConvTests), typeof(ProviderTests)];
        var start = new ProcessStartInfo("dotnet", [typeof(InstructionSetTests).Assembly.Location, path.ToString(), .. classes.Select(c => c.Name)]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_EnableAVX512"] = "0";
        if (path == SimdPath.Portable)
            start.Environment["DOTNET_EnableAVX2"] = "0";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, output + await errors);

        // The bits are those of this process.
        Assert.Equal(VectorMathTests.Digest(), output.Trim().Split('\n')[^1].Trim());
    }
}
