using System.Diagnostics.CodeAnalysis;

namespace Frusta.Testing;

/// <summary>Where and how the tests are run.</summary>
public static class TestRun
{
    public static bool InCi => Environment.GetEnvironmentVariable("CI") is "true";

    /// <summary>True with <c>./test --all</c>.</summary>
    public static bool LongTestsToo => Environment.GetEnvironmentVariable("FRUSTATEST_ALL") is "1";

    /// <summary>For a thing that this host must have for a test: without it the test is skipped on a desk, and fails in CI.</summary>
    public static void Require([DoesNotReturnIf(false)] bool there, string? reason)
    {
        Assert.True(there || !InCi, reason);
        Assert.SkipUnless(there, reason ?? "");
    }
}
