using Microsoft.Extensions.Logging;

namespace Frusta.Journal.Tests;

/// <summary>Keeps what was logged.</summary>
internal sealed class TestLog : ILogger
{
    private readonly Lock _gate = new();
    private readonly List<int> _events = [];

    internal int Count(int eventId)
    {
        lock (_gate)
        {
            return _events.Count(each => each == eventId);
        }
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_gate)
        {
            _events.Add(eventId.Id);
        }
    }

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;
}
