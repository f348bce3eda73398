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
        var switches = new Dictionary<string, string> { ["DOTNET_EnableAVX512"] = "0" };
        if (path == SimdPath.Portable)
            switches["DOTNET_EnableAVX2"] = "0";
        await RunAgain(path, switches, typeof(VectorMathTests), typeof(FusedKernelTests), typeof(ConvTests), typeof(ProviderTests));
    }

    /// <summary>Which tiles AVX-512 takes depends on the processor.</summary>
    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    public async Task Products_hold_with_wide_tiles_and_without(string isOn)
    {
        if (Gemm.Path == SimdPath.Avx512)
            await RunAgain(SimdPath.Avx512, new() { [Processor.WideTilesSwitch] = isOn }, typeof(GemmTests), typeof(ConvTests));
    }

    private static async Task RunAgain(SimdPath path, Dictionary<string, string> switches, params Type[] classes)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(InstructionSetTests).Assembly.Location, path.ToString(), .. classes.Select(c => c.Name)]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in switches)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, output + await errors);

        // The bits are those of this process.
        Assert.Equal(VectorMathTests.Digest(), output.Trim().Split('\n')[^1].Trim());
    }
}
