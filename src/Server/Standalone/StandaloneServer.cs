using Frusta.Server.Configuration;

namespace Frusta.Server.Standalone;

public sealed class StandaloneServer
{
    public static Task<int> RunAsync(FrustaOptions options) { _ = options; return Task.FromResult(0); }
}
