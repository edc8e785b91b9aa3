using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;

namespace Frusta.Invoker.Serve;

/// <summary>Tells the pool of an event, and has the actions carried out that it then wants. Safe on any thread: the room has a lock of its own.</summary>
/// <param name="room">The pool.</param>
/// <param name="clock">Gives the time of the event.</param>
/// <param name="execute">Carries out the actions that the pool wants.</param>
internal sealed class PoolEvents(Room room, PoolClock clock, Action<List<PoolAction>> execute)
{
    /// <summary>Calls the event's method of the room, with the time in microseconds and a list that takes the actions, and has these carried out.</summary>
    public void Tell(Action<Room, long, List<PoolAction>> happened)
    {
        var actions = new List<PoolAction>();
        happened(room, clock.NowUs, actions);
        execute(actions);
    }
}
