namespace Frusta.Sandboxes.Tests;

/// <summary>Waits for a condition that only the kernel can make true.</summary>
internal static class Eventually
{
    internal static Task TrueAsync(Func<bool> condition) => TrueAsync(() => Task.FromResult(condition()));

    internal static async Task TrueAsync(Func<Task<bool>> condition)
    {
        using var giveUp = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!await condition())
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, giveUp.Token);
        }
    }
}
